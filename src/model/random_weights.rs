//! Weights drawn at random for a configuration: a model of any size for benchmarks, without a download.

use super::config::ModelConfig;
use super::weights::{Tensor, WeightSource, missing};
use crate::error::{Error, Kind, Result};
use crate::ops::StoredRows;
use crate::tr;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Uniform weights in ±0.035 (standard deviation 0.02, as models are initialised), norms of one.
pub struct RandomWeights {
    place: PathBuf,
    shapes: BTreeMap<String, Vec<usize>>,
    seed: u64,
}

impl RandomWeights {
    /// Weights for the configuration read from `place`. The same seed gives the same weights.
    pub fn new(config: &ModelConfig, place: &Path, seed: u64) -> RandomWeights {
        RandomWeights { place: place.to_owned(), shapes: config.tensors().into_iter().collect(), seed }
    }
}

impl WeightSource for RandomWeights {
    fn names(&self) -> Vec<String> {
        self.shapes.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shapes.get(name).cloned()
    }

    fn storage(&self) -> BTreeMap<String, u64> {
        let elements = self.shapes.values().map(|shape| shape.iter().product::<usize>() as u64).sum();
        BTreeMap::from([("F32".to_owned(), elements)])
    }

    fn try_tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(shape) = self.shapes.get(name).cloned() else { return Ok(None) };
        let len = shape.iter().product();
        if name.contains("norm") {
            return Ok(Some(Tensor { shape, data: vec![1.0; len] }));
        }
        // Every tensor has a stream of its own, so that the order of reading does not matter.
        let stream = self.shapes.keys().position(|known| known == name).unwrap_or(0) as u64;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        let data = (0..len).map(|_| rng.random_range(-0.035f32..0.035)).collect();
        Ok(Some(Tensor { shape, data }))
    }

    fn stored_rows(&self, name: &str) -> Result<Box<dyn StoredRows>> {
        if !self.shapes.contains_key(name) {
            return Err(missing(&self.place, name));
        }
        Err(Error::new(
            Kind::InvalidInput,
            tr!("random weights have no file whose form could be kept", "随机权重没有可保留其存储形式的文件"),
        )
        .hint(tr!("use --quantize full, int8 or int4", "请用 --quantize full、int8 或 int4")))
    }

    fn place(&self) -> &Path {
        &self.place
    }
}
