//! What a training leaves: the adapter's folder, where it comes from, and its record; an earlier one of the name is kept.

use super::train::TrainRequest;
use super::train_rows::Prepared;
use super::{LoadedModel, Workbench};
use crate::error::{Error, Kind, Result};
use crate::job::{EventSink, JobEvent};
use crate::model::Lora;
use crate::model::adapter::{self, AdapterOrigin};
use crate::store::{self, AdapterRecord};
use crate::tr;
use std::path::Path;

/// Where an adapter comes from, as its folder tells it.
///
/// # Errors
/// `Internal` for settings that cannot be written down.
pub(super) fn origin(
    request: &TrainRequest,
    model: &LoadedModel,
    prepared: &Prepared,
    run: &str,
) -> Result<AdapterOrigin> {
    Ok(AdapterOrigin {
        template: request.template.clone(),
        template_hash: prepared.template_hash.clone(),
        base_hash: model.hash.clone(),
        tokenizer_hash: model.tokenizer.hash().to_owned(),
        dataset: prepared.dataset.clone(),
        dataset_version: prepared.dataset_version.clone(),
        run: run.to_owned(),
        code_version: store::code_version(),
        training: serde_json::to_value(&request.config).map_err(|e| Error::internal(e.to_string()))?,
    })
}

/// Writes the adapter's folder and its record.
///
/// # Errors
/// I/O, those of the store.
#[allow(clippy::too_many_arguments)]
pub(super) fn publish(
    bench: &Workbench,
    request: &TrainRequest,
    model: &LoadedModel,
    prepared: &Prepared,
    run: &str,
    lora: &Lora,
    dir: &Path,
    sink: &dyn EventSink,
) -> Result<()> {
    keep_earlier(bench, &request.adapter, dir, run, sink)?;
    adapter::save(dir, lora, &request.model, &origin(request, model, prepared, run)?)?;
    let hash = adapter::hash(dir)?;
    bench.store.set_adapter_hash(run, &hash)?;
    bench.store.put_adapter(&AdapterRecord {
        name: request.adapter.clone(),
        dir: dir.to_string_lossy().into_owned(),
        hash,
        base: request.model.clone(),
        base_hash: model.hash.clone(),
        template: request.template.clone(),
        dataset: prepared.dataset.clone(),
        dataset_version: prepared.dataset_version.clone(),
        run_id: run.to_owned(),
        created_at: store::now(),
    })
}

/// Gives an adapter that has the name already another one, `NAME-<beginning of its hash>`: scores in the database may
/// rest on its weights.
fn keep_earlier(bench: &Workbench, name: &str, dir: &Path, run: &str, sink: &dyn EventSink) -> Result<()> {
    let Some(mut earlier) = bench.store.adapters()?.into_iter().find(|a| a.name == name && a.run_id != run) else {
        return Ok(());
    };
    let Ok(hash) = adapter::hash(dir) else { return Ok(()) };
    let kept = format!("{name}-{}", hash.get(..8).unwrap_or_default());
    let place = dir.with_file_name(&kept);
    if !place.exists() {
        std::fs::rename(dir, &place).map_err(|e| Error::io(&place, &e))?;
    }
    earlier.name.clone_from(&kept);
    earlier.dir = place.to_string_lossy().into_owned();
    bench.store.put_adapter(&earlier)?;
    sink.emit(&JobEvent::Log {
        message: tr!("the earlier adapter {name} is kept as {kept}", "原来的适配器 {name} 保留为 {kept}"),
    });
    Ok(())
}

/// A name that is a folder name everywhere.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn check_name(name: &str) -> Result<()> {
    let fine = !name.is_empty()
        && name.len() <= 100
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
    if fine {
        return Ok(());
    }
    let name = name.escape_default();
    Err(Error::new(Kind::InvalidInput, tr!("`{name}` cannot be an adapter's name", "`{name}` 不能作为适配器名"))
        .hint(tr!("use letters, digits, '.', '_' and '-'", "请使用字母、数字、“.”“_”“-”")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        assert!(check_name("jubaopen-v1.2").is_ok());
        assert!(check_name("聚宝盆").is_ok());
        for bad in ["", "..", "a/b", "-x", "a b", "a\\b", "a\nb"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
