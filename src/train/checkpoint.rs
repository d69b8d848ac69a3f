//! What must be kept to go on exactly: factors, the best factors, both moments, and where the run stands.
//! Data order, dropout and schedule are functions of the seed and the step, so they need no state.

use super::optimizer::AdamW;
use crate::error::{Error, Kind, Result};
use crate::model::Lora;
use crate::tr;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Where a training stands after `step` optimiser steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// Validation loss before the first step: the base model's.
    pub base_val_loss: Option<f64>,
    /// Lowest validation loss so far and its step.
    pub best: Option<(f64, u64)>,
    /// Loss of the last step.
    pub last_loss: f64,
}

/// Everything that a resumed run needs.
pub struct Checkpoint {
    /// Where the run stands.
    pub progress: Progress,
    /// The factors.
    pub lora: Lora,
    /// The factors with the lowest validation loss.
    pub best: Lora,
    /// Moments and step count.
    pub optimizer: AdamW,
}

impl Checkpoint {
    /// Writes to `path` through a file beside it: a kill leaves the old checkpoint or the new one.
    ///
    /// # Errors
    /// I/O, with a full disk named as such.
    pub fn save(&self, path: &Path) -> Result<()> {
        let internal = |e: safetensors::SafeTensorError| Error::internal(e.to_string());
        let names: Vec<(String, [usize; 2])> = self.lora.tensors().into_iter().map(|(n, s, _)| (n, s)).collect();
        let data = [&self.lora, &self.best].map(|lora| lora.tensors().into_iter().map(|t| t.2.to_vec()).collect());
        let [current, best]: [Vec<Vec<f32>>; 2] = data;
        let mut stored: Vec<(String, [usize; 2], Vec<u8>)> = Vec::new();
        for (part, values) in
            [("current", &current), ("best", &best), ("m", &self.optimizer.m), ("v", &self.optimizer.v)]
        {
            for ((name, shape), values) in names.iter().zip(values) {
                let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                stored.push((format!("{part}.{name}"), *shape, bytes));
            }
        }
        let views = stored
            .iter()
            .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(internal)?;
        let progress = serde_json::to_string(&self.progress).map_err(|e| Error::internal(e.to_string()))?;
        let bytes = safetensors::serialize(views, Some(HashMap::from([("progress".to_owned(), progress)])))
            .map_err(internal)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| Error::io(folder, &e))?;
        std::io::Write::write_all(&mut file, &bytes).map_err(|e| Error::io(path, &e))?;
        file.as_file().sync_all().map_err(|e| Error::io(path, &e))?;
        file.persist(path).map_err(|e| Error::io(path, &e.error))?;
        Ok(())
    }

    /// The step at which the checkpoint at `path` was written; 0 when there is none.
    ///
    /// # Errors
    /// `Corrupt` when the file is damaged.
    pub fn step_of(path: &Path) -> Result<u64> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(read_progress(path, &bytes)?.step),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(e) => Err(Error::io(path, &e)),
        }
    }

    /// Reads `path` into the shapes of `fresh`, a newly made adapter and optimiser of the same settings.
    ///
    /// # Errors
    /// `NotFound`, `Corrupt`, or `Mismatch` when the settings are not those of the checkpoint.
    pub fn load(path: &Path, fresh: (Lora, AdamW)) -> Result<Checkpoint> {
        let (mut lora, mut optimizer) = fresh;
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, &e))?;
        let progress = read_progress(path, &bytes)?;
        let damaged = |what: String| damaged(path, &what);
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        let names: Vec<String> = lora.tensors().into_iter().map(|(name, _, _)| name).collect();
        let fill = |part: &str, targets: Vec<&mut [f32]>| -> Result<()> {
            for (name, target) in names.iter().zip(targets) {
                let view = tensors.tensor(&format!("{part}.{name}")).map_err(|e| damaged(e.to_string()))?;
                let bytes = view.data();
                if view.dtype() != Dtype::F32 || bytes.len() != 4 * target.len() {
                    return Err(Error::new(
                        Kind::Mismatch,
                        tr!("the checkpoint was made with other settings ({name})", "检查点由其他设置生成（{name}）"),
                    )
                    .hint(tr!("resume with the settings of the run", "请用该运行的原设置继续")));
                }
                for (x, b) in target.iter_mut().zip(bytes.chunks_exact(4)) {
                    *x = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            }
            Ok(())
        };
        let mut best = lora.clone();
        fill("current", lora.parameters_mut())?;
        fill("best", best.parameters_mut())?;
        fill("m", optimizer.m.iter_mut().map(|x| &mut x[..]).collect())?;
        fill("v", optimizer.v.iter_mut().map(|x| &mut x[..]).collect())?;
        optimizer.step = progress.step;
        Ok(Checkpoint { progress, lora, best, optimizer })
    }
}

fn damaged(path: &Path, what: &str) -> Error {
    let path = path.display();
    Error::new(Kind::Corrupt, tr!("the checkpoint {path} is damaged: {what}", "检查点 {path} 已损坏：{what}"))
        .hint(tr!("start the training anew", "请重新开始训练"))
}

fn read_progress(path: &Path, bytes: &[u8]) -> Result<Progress> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(path, &e.to_string()))?;
    let text = header.metadata().as_ref().and_then(|m| m.get("progress"));
    text.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| damaged(path, "progress"))
}
