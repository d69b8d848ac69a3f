//! What must be kept to go on exactly: factors, the best factors, both moments, and where the run stands.
//! Data order, dropout and schedule are functions of the seed and the step, so they need no state.

use super::optimizer::AdamW;
use super::watch::Watch;
use crate::error::{Error, Kind, Result};
use crate::model::{Lora, MemoryPlan};
use crate::tr;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where a training stands after `step` optimiser steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps taken.
    pub step: u64,
    /// Validation loss before the first step: the base model's.
    pub base_val_loss: Option<f64>,
    /// Lowest validation loss so far and its step.
    pub best: Option<(f64, u64)>,
    /// Step of the last validation: one that was broken off is made up for.
    pub validated: Option<u64>,
    /// Validation loss at the last validation.
    pub last_val_loss: Option<f64>,
    /// Loss of the last step.
    pub last_loss: f64,
    /// How much of a batch is in memory at a time: sums are made in this order.
    pub plan: Option<MemoryPlan>,
    /// Where the run computed, if not on the processor: elsewhere it is rounded otherwise, and the plan is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The smoothed loss and which warnings were given.
    pub watch: Watch,
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

/// A checkpoint's file in memory; its checksum holds.
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where the run stood.
    pub progress: Progress,
}

impl Checkpoint {
    /// The file: safetensors, with the progress and a checksum in its metadata.
    ///
    /// # Errors
    /// `Internal` when it cannot be laid out.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let internal = |e: safetensors::SafeTensorError| Error::internal(e.to_string());
        let names: Vec<(String, Vec<usize>)> = self.lora.tensors().into_iter().map(|(n, s, _)| (n, s)).collect();
        let data = [&self.lora, &self.best].map(|lora| lora.tensors().into_iter().map(|t| t.2.to_vec()).collect());
        let [current, best]: [Vec<Vec<f32>>; 2] = data;
        let mut stored: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (part, values) in
            [("current", &current), ("best", &best), ("m", &self.optimizer.m), ("v", &self.optimizer.v)]
        {
            for ((name, shape), values) in names.iter().zip(values) {
                let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                stored.push((format!("{part}.{name}"), shape.clone(), bytes));
            }
        }
        let progress = serde_json::to_string(&self.progress).map_err(|e| Error::internal(e.to_string()))?;
        let sum = checksum(&progress, stored.iter().map(|(name, _, bytes)| (name.as_str(), &bytes[..])).collect());
        let views = stored
            .iter()
            .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(internal)?;
        let metadata = HashMap::from([("progress".to_owned(), progress), ("sha256".to_owned(), sum)]);
        safetensors::serialize(views, Some(metadata)).map_err(internal)
    }
}

impl Stored {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// I/O; `Corrupt` when it was cut or altered.
    pub fn read(path: &Path) -> Result<Stored> {
        Stored::from_bytes(std::fs::read(path).map_err(|e| Error::io(path, &e))?, path)
    }

    /// The file as it was read.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// `Corrupt` when they were cut or altered.
    pub(super) fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Stored> {
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(path, &e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(path, &e.to_string()))?;
        let metadata = header.metadata().as_ref();
        let entry = |key: &str| {
            metadata.and_then(|m| m.get(key)).ok_or_else(|| damaged(path, &tr!("no {key} in it", "缺少 {key}")))
        };
        let (text, expected) = (entry("progress")?, entry("sha256")?);
        let views = tensors.tensors();
        let sum = checksum(text, views.iter().map(|(name, view)| (name.as_str(), view.data())).collect());
        if sum != *expected {
            return Err(damaged(path, &tr!("its checksum does not hold", "校验和不符")));
        }
        let progress = serde_json::from_str(text).map_err(|e| damaged(path, &e.to_string()))?;
        Ok(Stored { path: path.to_owned(), bytes, progress })
    }

    /// Fills the shapes of `fresh`, a newly made adapter and optimiser of the same settings.
    ///
    /// # Errors
    /// `Mismatch` when the settings are not those of the checkpoint.
    pub fn restore(self, fresh: (Lora, AdamW)) -> Result<Checkpoint> {
        let (mut lora, mut optimizer) = fresh;
        let Stored { path, bytes, progress } = self;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&path, &e.to_string()))?;
        let names: Vec<String> = lora.tensors().into_iter().map(|(name, _, _)| name).collect();
        let fill = |part: &str, targets: Vec<&mut [f32]>| -> Result<()> {
            for (name, target) in names.iter().zip(targets) {
                let view = tensors.tensor(&format!("{part}.{name}")).ok();
                let fits = |v: &TensorView<'_>| v.dtype() == Dtype::F32 && v.data().len() == 4 * target.len();
                let Some(view) = view.filter(fits) else {
                    return Err(Error::new(
                        Kind::Mismatch,
                        tr!("the checkpoint was made with other settings ({name})", "检查点由其他设置生成（{name}）"),
                    )
                    .hint(tr!("resume with the settings of the run", "请用该运行的原设置继续")));
                };
                for (x, b) in target.iter_mut().zip(view.data().as_chunks::<4>().0) {
                    *x = f32::from_le_bytes(*b);
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

/// SHA-256 (hexadecimal) over the progress and every tensor's name and bytes, in the order of the names.
fn checksum(progress: &str, mut tensors: Vec<(&str, &[u8])>) -> String {
    tensors.sort_unstable_by_key(|(name, _)| *name);
    let mut sha = Sha256::new();
    let parts = tensors.into_iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes]);
    for part in std::iter::once(progress.as_bytes()).chain(parts) {
        // The length keeps "ab" + "c" and "a" + "bc" apart.
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
