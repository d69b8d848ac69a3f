//! Names of models on a hub: `hf:ORG/REPO`, `ms:ORG/REPO`, with or without a file.

use crate::error::{Error, Kind, Result};
use crate::tr;

/// A hub of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hub {
    /// Hugging Face.
    HuggingFace,
    /// ModelScope.
    ModelScope,
}

impl Hub {
    /// For messages.
    pub fn title(self) -> &'static str {
        match self {
            Hub::HuggingFace => "Hugging Face",
            Hub::ModelScope => "ModelScope",
        }
    }
}

/// A repository on a hub, or one file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Where.
    pub hub: Hub,
    /// `ORG/REPO`.
    pub id: String,
    /// One `.gguf` file of it, by its path there.
    pub file: Option<String>,
}

impl Repository {
    /// Reads `hf:ORG/REPO[/FILE]` or `ms:…`; `None` when `spec` has neither prefix.
    ///
    /// # Errors
    /// `InvalidInput` when what follows is no repository.
    pub fn parse(spec: &str) -> Result<Option<Repository>> {
        let (hub, rest) = match spec.split_once(':') {
            Some(("hf", rest)) => (Hub::HuggingFace, rest),
            Some(("ms", rest)) => (Hub::ModelScope, rest),
            _ => return Ok(None),
        };
        // These become parts of a path and of an address: only what hubs allow in names.
        let plain = |part: &str| {
            !part.starts_with('.')
                && !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let file = parts.get(2..).filter(|file| !file.is_empty()).map(|file| file.join("/"));
        if parts.len() < 2
            || !parts.iter().all(|part| plain(part))
            || file.as_ref().is_some_and(|f| !f.ends_with(".gguf"))
        {
            let spec = spec.escape_debug();
            return Err(Error::new(Kind::InvalidInput, tr!("`{spec}` is no repository", "`{spec}` 不是仓库名")).hint(
                tr!(
                    "write hf:ORG/REPO, ms:ORG/REPO, or hf:ORG/REPO/FILE.gguf",
                    "请写成 hf:ORG/REPO、ms:ORG/REPO 或 hf:ORG/REPO/FILE.gguf"
                ),
            ));
        }
        Ok(Some(Repository { hub, id: parts[..2].join("/"), file }))
    }

    /// Name of its folder among the pulled models.
    pub fn folder(&self) -> String {
        self.id.replace('/', "--")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_paths() {
        let parse = |spec| Repository::parse(spec).unwrap();
        assert_eq!(parse("smollm2-135m"), None);
        assert_eq!(parse("/models/x.gguf"), None);
        let repository = parse("hf:Qwen/Qwen2.5-0.5B").unwrap();
        assert_eq!((repository.hub, repository.folder().as_str()), (Hub::HuggingFace, "Qwen--Qwen2.5-0.5B"));
        assert_eq!(parse("ms:a/b/c/d.gguf").unwrap().file.as_deref(), Some("c/d.gguf"));
        for bad in ["hf:", "hf:a", "hf:a/", "hf:a/../b", "hf:a/b/c.bin", "ms:a/b/../../c.gguf", "hf:a b/c", "hf:a/b?x"]
        {
            assert_eq!(Repository::parse(bad).unwrap_err().kind, Kind::InvalidInput, "{bad}");
        }
    }
}
