//! What is there to work with: adapters with what their folders tell, and where a merged model may go.

use super::Workbench;
use crate::error::Result;
use crate::store::AdapterRecord;
use std::path::{Path, PathBuf};

/// An adapter of this home.
#[derive(Clone, Debug)]
pub struct ListedAdapter {
    /// What the database keeps of it.
    pub record: AdapterRecord,
    /// Its rank (`r` of PEFT's `adapter_config.json`); none where the folder does not tell.
    pub rank: Option<u64>,
    /// Bytes of its folder's files; 0 where there is none.
    pub bytes: u64,
}

/// All adapters, the newest first.
///
/// # Errors
/// Those of the database.
pub fn adapters(bench: &Workbench) -> Result<Vec<ListedAdapter>> {
    let listed = |record: AdapterRecord| {
        let dir = Path::new(&record.dir);
        ListedAdapter { rank: rank(dir), bytes: folder_bytes(dir), record }
    };
    Ok(bench.store.adapters()?.into_iter().map(listed).collect())
}

fn rank(dir: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(dir.join("adapter_config.json")).ok()?;
    serde_json::from_str::<serde_json::Value>(&text).ok()?.get("r")?.as_u64()
}

fn folder_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(|meta| meta.is_file()).map(|meta| meta.len()).sum()
}

/// A folder among the models that does not exist yet, for the base of `adapter` with it merged in: there it is found by
/// its name.
pub fn merged_folder(bench: &Workbench, adapter: &str) -> PathBuf {
    let models = bench.settings.models();
    // A name may hold what a file's name may not.
    let name: String =
        adapter.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    let name = name.trim_start_matches('.');
    let first = models.join(format!("{name}-merged"));
    let numbered = (2..1000).map(|n| models.join(format!("{name}-merged-{n}")));
    std::iter::once(first.clone()).chain(numbered).find(|path| !path.exists()).unwrap_or(first)
}
