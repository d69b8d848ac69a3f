//! What makes a LoRA adapter apart from its weights, with PEFT's patterns for ranks and alphas of single modules.

use super::lora::Projection;
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// Rank, alpha and the other settings of an adapter.
///
/// A key of the two patterns names modules by the end of their path, whole names only: `down_proj`,
/// `self_attn.q_proj`, `layers.0.self_attn.q_proj`. Where several keys name one module the first in alphabetical order
/// counts: PEFT takes the first of its file, and sorts the keys when it writes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// r.
    pub rank: usize,
    /// The update is scaled by alpha/r.
    pub alpha: f64,
    /// Probability of dropping an element of the LoRA input, in training only.
    pub dropout: f64,
    /// Which projections carry factors.
    pub targets: Vec<Projection>,
    /// Scale by alpha/√r instead (Kalajdzievski 2023).
    pub rslora: bool,
    /// Magnitude and direction apart: DoRA (Liu et al. 2024).
    #[serde(default)]
    pub dora: bool,
    /// Ranks of the modules that do not have [`LoraConfig::rank`].
    #[serde(default)]
    pub rank_pattern: BTreeMap<String, usize>,
    /// Alphas of the modules that do not have [`LoraConfig::alpha`].
    #[serde(default)]
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Matrices that are trained as a whole and stored with the adapter.
    #[serde(default)]
    pub modules_to_save: Vec<SavedModule>,
}

/// A matrix of the model that can be trained as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SavedModule {
    /// The embedding.
    #[serde(rename = "embed_tokens")]
    Embedding,
    /// The output layer.
    #[serde(rename = "lm_head")]
    Head,
}

impl SavedModule {
    /// Both.
    pub const ALL: [SavedModule; 2] = [SavedModule::Embedding, SavedModule::Head];

    /// PEFT's name for it.
    pub fn name(self) -> &'static str {
        match self {
            SavedModule::Embedding => "embed_tokens",
            SavedModule::Head => "lm_head",
        }
    }

    /// Reads `--modules-to-save`: names separated by commas.
    ///
    /// # Errors
    /// `Usage` that lists the names.
    pub fn parse_list(text: &str) -> Result<Vec<SavedModule>> {
        let mut modules = text
            .split(',')
            .map(|name| {
                SavedModule::ALL.into_iter().find(|m| m.name() == name.trim()).ok_or_else(|| {
                    let name = name.escape_default();
                    Error::new(Kind::Usage, tr!("cannot train `{name}` as a whole", "无法整体训练 `{name}`"))
                        .hint(tr!("use embed_tokens, lm_head, or both", "可用 embed_tokens、lm_head 或两者"))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        modules.sort();
        modules.dedup();
        Ok(modules)
    }
}

impl Default for LoraConfig {
    /// The settings of 聚宝盆: r = 8 on the query and value projections.
    fn default() -> Self {
        LoraConfig {
            rank: 8,
            alpha: 16.0,
            dropout: 0.05,
            targets: vec![Projection::Q, Projection::V],
            rslora: false,
            dora: false,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            modules_to_save: Vec::new(),
        }
    }
}

/// Beyond this the factors are larger than the weights that they adapt.
const HIGHEST_RANK: usize = 2048;

impl LoraConfig {
    /// The rank of `projection` in block `layer`.
    pub fn rank_of(&self, layer: usize, projection: Projection) -> usize {
        of_module(&self.rank_pattern, &module_name(layer, projection)).unwrap_or(self.rank)
    }

    /// The alpha of `projection` in block `layer`.
    pub fn alpha_of(&self, layer: usize, projection: Projection) -> f64 {
        of_module(&self.alpha_pattern, &module_name(layer, projection)).unwrap_or(self.alpha)
    }

    /// The factor on the update of `projection` in block `layer`: alpha/r, or alpha/√r (rsLoRA).
    pub fn scale_of(&self, layer: usize, projection: Projection) -> f32 {
        let rank = self.rank_of(layer, projection) as f64;
        (self.alpha_of(layer, projection) / if self.rslora { rank.sqrt() } else { rank }) as f32
    }

    /// Refuses patterns that do not mean what they seem to mean: a key that names no module with factors, two keys that
    /// give one module different values, values out of range. `layers` is the number of the model's blocks.
    ///
    /// # Errors
    /// `Usage` that names the key.
    pub fn check_patterns(&self, layers: usize) -> Result<()> {
        let modules: Vec<String> =
            (0..layers).flat_map(|layer| self.targets.iter().map(move |p| module_name(layer, *p))).collect();
        check_keys("--rank-pattern", &self.rank_pattern, &modules)?;
        check_keys("--alpha-pattern", &self.alpha_pattern, &modules)?;
        if let Some((key, rank)) = self.rank_pattern.iter().find(|(_, rank)| !(1..=HIGHEST_RANK).contains(*rank)) {
            return Err(bad_pattern(tr!(
                "--rank-pattern gives {key} the rank {rank}",
                "--rank-pattern 给 {key} 的秩为 {rank}"
            ))
            .hint(tr!("use a rank from 1 to {HIGHEST_RANK}", "请用 1 到 {HIGHEST_RANK} 之间的秩")));
        }
        if let Some((key, alpha)) = self.alpha_pattern.iter().find(|(_, alpha)| !alpha.is_finite() || **alpha <= 0.0) {
            return Err(bad_pattern(tr!(
                "--alpha-pattern gives {key} the alpha {alpha}",
                "--alpha-pattern 给 {key} 的 alpha 为 {alpha}"
            ))
            .hint(tr!("use a number above 0", "请用大于 0 的数")));
        }
        Ok(())
    }
}

/// A module's name in the base model, as PEFT sees it.
pub(super) fn module_name(layer: usize, projection: Projection) -> String {
    format!("model.layers.{layer}.{}", projection.path())
}

fn of_module<T: Copy>(pattern: &BTreeMap<String, T>, module: &str) -> Option<T> {
    pattern.iter().find(|(key, _)| names(key, module)).map(|(_, value)| *value)
}

/// Whether `key` names `module`: PEFT matches the regular expression `(.*\.)?(key)$`, in which a dot of the key stands
/// for any character.
fn names(key: &str, module: &str) -> bool {
    let (key, module) = (key.as_bytes(), module.as_bytes());
    let Some(start) = module.len().checked_sub(key.len()) else { return false };
    let whole = start == 0 || module.get(start - 1) == Some(&b'.');
    whole && !key.is_empty() && key.iter().zip(&module[start..]).all(|(k, m)| k == m || *k == b'.')
}

/// Whether `key` is a plain name or path, which is all that is understood here of PEFT's regular expressions.
pub(super) fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn check_keys<T: PartialEq + Display>(flag: &str, pattern: &BTreeMap<String, T>, modules: &[String]) -> Result<()> {
    for (i, (key, value)) in pattern.iter().enumerate() {
        let mut named = modules.iter().filter(|module| names(key, module)).peekable();
        if named.peek().is_none() {
            let key = key.escape_default();
            return Err(bad_pattern(tr!(
                "{flag}: no module with factors is called `{key}`",
                "{flag}：没有带因子的模块名为 `{key}`"
            ))
            .hint(tr!(
                "name one of the --target modules (down_proj), or one of a block (layers.0.mlp.down_proj)",
                "请写 --target 中的模块名（down_proj），或某一层的模块（layers.0.mlp.down_proj）"
            )));
        }
        for module in named {
            let other = pattern.iter().skip(i + 1).find(|(other, v)| names(other, module) && *v != value);
            if let Some((other, _)) = other {
                return Err(bad_pattern(tr!(
                    "{flag}: `{key}` and `{other}` give {module} different values",
                    "{flag}：`{key}` 与 `{other}` 给 {module} 的值不同"
                ))
                .hint(tr!(
                    "PEFT would take the first in alphabetical order: name the modules so that no two keys meet",
                    "PEFT 会取字母顺序靠前的一个：请使各键互不重叠"
                )));
            }
        }
    }
    Ok(())
}

fn bad_pattern(message: String) -> Error {
    Error::new(Kind::Usage, message)
}

/// Reads `down_proj=16,layers.0.self_attn.q_proj=4`, as `flag` is given.
///
/// # Errors
/// `Usage` that names the part which is no `MODULE=NUMBER`.
pub fn parse_pattern<T: FromStr>(flag: &str, text: &str) -> Result<BTreeMap<String, T>> {
    let mut pattern = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let pair = part.split_once('=').map(|(key, value)| (key.trim(), value.trim().parse().ok()));
        let Some((key, Some(value))) = pair.filter(|(key, _)| is_plain(key)) else {
            let part = part.escape_default();
            return Err(bad_pattern(tr!(
                "{flag}: `{part}` is not MODULE=NUMBER",
                "{flag}：`{part}` 不是 模块=数值 的形式"
            ))
            .hint(tr!(
                "for example {flag} down_proj=16,layers.0.self_attn.q_proj=4; regular expressions are not understood",
                "例如 {flag} down_proj=16,layers.0.self_attn.q_proj=4；不支持正则表达式"
            )));
        };
        pattern.insert(key.to_owned(), value);
    }
    Ok(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(ranks: &str, alphas: &str) -> LoraConfig {
        LoraConfig {
            targets: Projection::ALL.to_vec(),
            rank_pattern: parse_pattern("--rank-pattern", ranks).unwrap(),
            alpha_pattern: parse_pattern("--alpha-pattern", alphas).unwrap(),
            ..LoraConfig::default()
        }
    }

    #[test]
    fn keys_name_modules_by_whole_parts_of_their_path() {
        let c = config("down_proj=16, layers.1.self_attn.q_proj=4", "v_proj=1");
        assert_eq!(c.rank_of(0, Projection::Down), 16);
        assert_eq!([0, 1, 11].map(|layer| c.rank_of(layer, Projection::Q)), [8, 4, 8]);
        assert_eq!(c.rank_of(1, Projection::K), 8);
        assert_eq!((c.scale_of(0, Projection::Down), c.scale_of(1, Projection::Q)), (1.0, 4.0));
        assert_eq!(c.scale_of(3, Projection::V), 1.0 / 8.0);
        assert_eq!(LoraConfig { rslora: true, ..c }.scale_of(0, Projection::Down), 4.0);
        // Half a name is no name: `proj` must not mean every projection.
        for (key, module) in
            [("proj", "model.layers.0.mlp.down_proj"), ("1.mlp.up_proj", "model.layers.11.mlp.up_proj")]
        {
            assert!(!names(key, module), "{key}");
        }
        for key in
            ["down_proj", "mlp.down_proj", "0.mlp.down_proj", "layers.0.mlp.down_proj", "model.layers.0.mlp.down_proj"]
        {
            assert!(names(key, "model.layers.0.mlp.down_proj"), "{key}");
        }
    }

    #[test]
    fn patterns_that_would_mislead_are_refused() {
        let refused = |c: LoraConfig, word: &str| {
            let error = c.check_patterns(2).unwrap_err();
            assert!(error.kind == Kind::Usage && error.message.contains(word), "{}", error.message);
            assert!(error.hint.is_some());
        };
        assert!(config("down_proj=16,layers.1.self_attn.q_proj=4", "down_proj=2.5").check_patterns(2).is_ok());
        refused(config("down_pro=16", ""), "down_pro");
        refused(config("layers.2.mlp.down_proj=16", ""), "layers.2");
        refused(config("", "down_proj=0"), "alpha");
        refused(config("down_proj=0", ""), "rank");
        refused(config("down_proj=16,layers.0.mlp.down_proj=4", ""), "different");
        // Two keys that agree about a module do no harm.
        assert!(config("down_proj=4,layers.0.mlp.down_proj=4", "").check_patterns(2).is_ok());
        let q_only = LoraConfig { targets: vec![Projection::Q], ..config("down_proj=16", "") };
        refused(q_only, "down_proj");
        for bad in ["down_proj", "=4", "down_proj=x", ".*=4", "down_proj=-1"] {
            assert_eq!(parse_pattern::<usize>("--rank-pattern", bad).unwrap_err().kind, Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn settings_of_earlier_runs_still_read() {
        let old = r#"{"rank":4,"alpha":8.0,"dropout":0.1,"targets":["q_proj"],"rslora":false}"#;
        let c: LoraConfig = serde_json::from_str(old).unwrap();
        assert_eq!((c.rank, c.dora, c.rank_pattern.len()), (4, false, 0));
    }
}
