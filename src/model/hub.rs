//! Where hubs keep their files: addresses, listings, and which files of a repository a model needs.

use super::catalogue::HubFile;
use super::download::{Client, Expected, network};
use super::repository::{Hub, Repository};
use crate::error::{Error, Kind, Result};
use crate::job::CancelToken;
use crate::tr;
use serde_json::Value;
use std::path::PathBuf;

/// The ways to models that the environment allows.
pub struct Sources {
    /// The client.
    pub client: Client,
    /// Address of the Hugging Face hub or of a mirror (`HF_ENDPOINT`).
    pub hf_endpoint: String,
    /// Token for it (`HF_TOKEN`, or the file that `hf auth login` writes).
    pub hf_token: Option<String>,
    /// Whether it must not be asked (`HF_HUB_OFFLINE`).
    pub hf_offline: bool,
    /// Address of ModelScope (`MODELSCOPE_DOMAIN`).
    pub ms_endpoint: String,
    /// Token for it (`MODELSCOPE_API_TOKEN`).
    pub ms_token: Option<String>,
    /// The Python whose pip is used.
    pub python: String,
}

impl Sources {
    /// What the environment says; the variables are those of `huggingface_hub` and `modelscope`.
    pub fn from_env() -> Sources {
        let var = |name: &str| std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let address = |text: String| {
            let text = if text.contains("://") { text } else { format!("https://{text}") };
            text.trim_end_matches('/').to_owned()
        };
        let truthy = |v: String| ["1", "true", "yes", "on"].contains(&v.to_ascii_lowercase().as_str());
        Sources {
            client: Client::default(),
            hf_endpoint: address(var("HF_ENDPOINT").unwrap_or_else(|| "huggingface.co".into())),
            hf_token: var("HF_TOKEN").or_else(|| {
                let text = std::fs::read_to_string(hf_token_file(var)?).ok()?;
                Some(text.trim().to_owned()).filter(|t| !t.is_empty())
            }),
            hf_offline: var("HF_HUB_OFFLINE").is_some_and(truthy),
            ms_endpoint: address(var("MODELSCOPE_DOMAIN").unwrap_or_else(|| "www.modelscope.cn".into())),
            ms_token: var("MODELSCOPE_API_TOKEN"),
            python: "python3".into(),
        }
    }

    /// Token for `hub`.
    pub fn token(&self, hub: Hub) -> Option<&str> {
        match hub {
            Hub::HuggingFace => self.hf_token.as_deref(),
            Hub::ModelScope => self.ms_token.as_deref(),
        }
    }

    /// Address of a file; `revision` is a branch or a commit.
    pub fn url(&self, hub: Hub, file: &HubFile, revision: Option<&str>) -> String {
        let HubFile { repo, file } = file;
        match hub {
            Hub::HuggingFace => format!("{}/{repo}/resolve/{}/{file}", self.hf_endpoint, revision.unwrap_or("main")),
            Hub::ModelScope => format!(
                "{}/api/v1/models/{repo}/repo?Revision={}&FilePath={file}",
                self.ms_endpoint,
                revision.unwrap_or("master")
            ),
        }
    }

    /// Refuses a hub that the user has switched off.
    ///
    /// # Errors
    /// `Network`.
    pub fn allow(&self, hub: Hub) -> Result<()> {
        if hub == Hub::HuggingFace && self.hf_offline {
            return Err(network(tr!("skipped: HF_HUB_OFFLINE is set", "已跳过：设置了 HF_HUB_OFFLINE")));
        }
        Ok(())
    }

    /// Lists a repository.
    ///
    /// # Errors
    /// `Network`, `Interrupted`.
    pub fn list(&self, repository: &Repository, cancel: &CancelToken) -> Result<Listing> {
        let id = &repository.id;
        let token = self.token(repository.hub);
        let listing = match repository.hub {
            Hub::HuggingFace => {
                let json =
                    self.client.json(&format!("{}/api/models/{id}?blobs=true", self.hf_endpoint), token, cancel)?;
                json["siblings"].as_array().map(|files| Listing {
                    revision: json["sha"].as_str().filter(|sha| is_plain(sha)).map(str::to_owned),
                    files: files.iter().filter_map(hf_file).collect(),
                })
            }
            Hub::ModelScope => {
                let url = format!("{}/api/v1/models/{id}/repo/files?Revision=master&Recursive=true", self.ms_endpoint);
                let json = self.client.json(&url, token, cancel)?;
                json["Data"]["Files"]
                    .as_array()
                    .map(|files| Listing { revision: None, files: files.iter().filter_map(ms_file).collect() })
            }
        };
        listing.ok_or_else(|| {
            let hub = repository.hub.title();
            network(tr!("{hub} gave no list of files for {id}", "{hub} 没有给出 {id} 的文件列表"))
        })
    }
}

fn hf_token_file(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    let cache = || var("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).map(|cache| cache.join("huggingface"));
    var("HF_TOKEN_PATH")
        .map(PathBuf::from)
        .or_else(|| var("HF_HOME").map(PathBuf::from).or_else(cache).map(|folder| folder.join("token")))
}

/// The files of a repository.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The commit that was listed.
    pub revision: Option<String>,
    /// All files, by path.
    pub files: Vec<(String, Expected)>,
}

fn hf_file(json: &Value) -> Option<(String, Expected)> {
    let expected = Expected {
        bytes: json["size"].as_u64().or_else(|| json["lfs"]["size"].as_u64()),
        sha256: json["lfs"]["sha256"].as_str().map(str::to_owned),
    };
    Some((json["rfilename"].as_str()?.to_owned(), expected))
}

fn ms_file(json: &Value) -> Option<(String, Expected)> {
    if json["Type"] == "tree" {
        return None;
    }
    let sha256 = json["Sha256"].as_str().filter(|hash| hash.len() == 64).map(str::to_owned);
    Some((json["Path"].as_str()?.to_owned(), Expected { bytes: json["Size"].as_u64(), sha256 }))
}

/// Whether a name from a hub can be part of an address and of a path as it is.
fn is_plain(name: &str) -> bool {
    !name.starts_with('.') && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

impl Listing {
    /// The files that make a model: one GGUF, or configuration, tokenizer and safetensors, the small
    /// ones first.
    ///
    /// # Errors
    /// `NotFound` when the repository holds no model, `InvalidInput` when it holds several GGUF files
    /// and none was named, `Unsupported` when its weights are pickled.
    pub fn choose(&self, repository: &Repository) -> Result<Vec<(String, Expected)>> {
        let id = &repository.id;
        if let Some(wanted) = &repository.file {
            let found = self.files.iter().find(|(name, _)| name == wanted).cloned();
            return found.map(|file| vec![file]).ok_or_else(|| {
                let ggufs = self.ggufs().join(", ");
                Error::new(Kind::NotFound, tr!("{id} has no file {wanted}", "{id} 中没有文件 {wanted}"))
                    .hint(tr!("its GGUF files: {ggufs}", "其中的 GGUF 文件：{ggufs}"))
            });
        }
        let top = || self.files.iter().filter(|(name, _)| is_plain(name));
        let has = |wanted: &str| top().any(|(name, _)| name == wanted);
        let weight = |name: &str| name.starts_with("model") && name.ends_with(".safetensors");
        if has("config.json") && top().any(|(name, _)| weight(name)) {
            const SMALL: [&str; 6] = [
                "config.json",
                "generation_config.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "chat_template.jinja",
                "model.safetensors.index.json",
            ];
            let small = SMALL.iter().filter_map(|wanted| top().find(|(name, _)| name == wanted));
            return Ok(small.chain(top().filter(|(name, _)| weight(name))).cloned().collect());
        }
        let mut ggufs = self.ggufs();
        match (ggufs.pop(), ggufs.as_slice()) {
            (Some(only), []) => Ok(self.files.iter().filter(|(name, _)| name == only).cloned().collect()),
            (Some(last), rest) => {
                let ggufs = [rest, &[last]].concat().join(", ");
                let prefix = if repository.hub == Hub::HuggingFace { "hf" } else { "ms" };
                Err(Error::new(Kind::InvalidInput, tr!("{id} holds several GGUF files", "{id} 中有多个 GGUF 文件"))
                    .hint(tr!("name one, {prefix}:{id}/FILE: {ggufs}", "请指定其中一个，{prefix}:{id}/FILE：{ggufs}")))
            }
            (None, _) if top().any(|(name, _)| name.ends_with(".bin")) => Err(Error::new(
                Kind::Unsupported,
                tr!(
                    "{id} holds pickled weights only, which can run any code when they are read",
                    "{id} 只有 pickle 格式的权重，读取时可能执行任意代码"
                ),
            )
            .hint(tr!(
                "look for a safetensors or GGUF version of the model",
                "请寻找该模型的 safetensors 或 GGUF 版本"
            ))),
            (None, _) => Err(Error::new(
                Kind::NotFound,
                tr!("{id} holds neither safetensors nor GGUF", "{id} 中既没有 safetensors 也没有 GGUF"),
            )
            .hint(tr!("check the name of the repository", "请检查仓库名"))),
        }
    }

    /// GGUF files whose path can be used as it is.
    fn ggufs(&self) -> Vec<&str> {
        let usable = |name: &&str| name.ends_with(".gguf") && name.split('/').all(is_plain);
        let mut names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).filter(usable).collect();
        names.sort_unstable();
        names
    }
}
