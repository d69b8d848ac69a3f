//! What a decoder is built from: sizes, position encoding and switches, read from GGUF
//! metadata here and from a Hugging Face `config.json` next door, and checked before anything is
//! allocated from them.

use super::gguf::Gguf;
use crate::error::{Error, Kind, Result};
use crate::tr;

/// A family of decoders. All three are the same block (RMSNorm, rotary grouped-query attention, SwiGLU);
/// they differ in [`ModelConfig::qkv_bias`] and [`ModelConfig::qk_norm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama 2 and 3, SmolLM2 and all that share their form.
    Llama,
    /// Qwen2 and Qwen2.5: biases on the q, k and v projections.
    Qwen2,
    /// Qwen3: RMSNorm on each head of q and k.
    Qwen3,
}

impl Architecture {
    const ALL: [Architecture; 3] = [Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3];

    /// The name in `model_type` and in `general.architecture`.
    pub fn as_str(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Qwen2 => "qwen2",
            Architecture::Qwen3 => "qwen3",
        }
    }

    /// The class name in `architectures` of a `config.json`.
    pub(super) fn class(self) -> &'static str {
        match self {
            Architecture::Llama => "LlamaForCausalLM",
            Architecture::Qwen2 => "Qwen2ForCausalLM",
            Architecture::Qwen3 => "Qwen3ForCausalLM",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Architecture> {
        Self::ALL.into_iter().find(|a| a.as_str() == name || a.class() == name).ok_or_else(|| {
            let name = name.escape_default();
            unsupported(tr!("the architecture {name} is not supported", "不支持模型架构 {name}"))
                .hint(tr!("supported: llama, qwen2, qwen3", "支持的架构：llama、qwen2、qwen3"))
        })
    }
}

/// How rotary frequencies are stretched beyond the context that the model was first trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Every frequency divided by `factor`.
    Linear {
        /// The divisor, at least 1.
        factor: f64,
    },
    /// The rule of Llama 3.1: high frequencies stay, low ones are divided by `factor`, those between
    /// are blended.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths above `original_max_positions / low_freq_factor` count as low frequency.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_positions / high_freq_factor` count as high frequency.
        high_freq_factor: f64,
        /// Context length before stretching.
        original_max_positions: usize,
    },
}

/// Everything that fixes the shape and the arithmetic of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The family.
    pub architecture: Architecture,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the SwiGLU layer.
    pub intermediate_size: usize,
    /// Decoder blocks.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; divides `num_heads`.
    pub num_kv_heads: usize,
    /// Width of one head (not always `hidden_size / num_heads`).
    pub head_dim: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies.
    pub rope_scaling: Option<RopeScaling>,
    /// Longest sequence the model was made for, in tokens.
    pub max_positions: usize,
    /// Whether the output projection is the embedding itself.
    pub tie_word_embeddings: bool,
    /// Whether the q, k and v projections have biases (Qwen2).
    pub qkv_bias: bool,
    /// Whether q and k are normalised per head (Qwen3).
    pub qk_norm: bool,
}

pub(super) fn unsupported(message: String) -> Error {
    Error::new(Kind::Unsupported, message)
}

pub(super) fn field_error(field: &str, why: String) -> Error {
    Error::new(Kind::InvalidInput, tr!("model configuration: {field}: {why}", "模型配置：{field}：{why}"))
        .hint(tr!("pull the model again, or use another one", "请重新下载该模型，或换一个模型"))
}

impl ModelConfig {
    /// Reads the metadata of a GGUF file.
    ///
    /// # Errors
    /// As [`ModelConfig::from_hf`]; `Corrupt` when a metadata entry has the wrong type.
    pub fn from_gguf(file: &Gguf) -> Result<ModelConfig> {
        let architecture = Architecture::parse(file.text("general.architecture")?)?;
        let arch = architecture.as_str();
        let optional = |key: &str| file.unsigned_opt(&format!("{arch}.{key}"));
        let size = |key: &str| -> Result<usize> {
            optional(key)?.ok_or_else(|| field_error(&format!("{arch}.{key}"), tr!("is missing", "缺失")))
        };
        let float = |key: &str| file.float_opt(&format!("{arch}.{key}"));

        let hidden_size = size("embedding_length")?;
        let num_heads = size("attention.head_count")?;
        let head_dim = match optional("attention.key_length")? {
            Some(n) => n,
            None => derived_head_dim(hidden_size, num_heads)
                .ok_or_else(|| field_error(&format!("{arch}.attention.key_length"), tr!("is missing", "缺失")))?,
        };
        if let Some(rotated) = optional("rope.dimension_count")?
            && rotated != head_dim
        {
            return Err(unsupported(tr!(
                "only {rotated} of {head_dim} dimensions of a head are rotated; that is not supported",
                "每个注意力头的 {head_dim} 维中只旋转 {rotated} 维，不支持这种模型"
            )));
        }
        let vocab_size = match optional("vocab_size")? {
            Some(n) => n,
            None => file.array_len("tokenizer.ggml.tokens")?,
        };
        let config = ModelConfig {
            architecture,
            vocab_size,
            hidden_size,
            intermediate_size: size("feed_forward_length")?,
            num_layers: size("block_count")?,
            num_heads,
            num_kv_heads: optional("attention.head_count_kv")?.unwrap_or(num_heads),
            head_dim,
            rms_norm_eps: float("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-6),
            rope_theta: float("rope.freq_base")?.unwrap_or(10_000.0),
            rope_scaling: None,
            max_positions: size("context_length")?,
            tie_word_embeddings: !file.has_tensor("output.weight"),
            qkv_bias: architecture == Architecture::Qwen2,
            qk_norm: architecture == Architecture::Qwen3,
        };
        config.validate()?;
        let rope_scaling = config.gguf_rope_scaling(file)?;
        Ok(ModelConfig { rope_scaling, ..config })
    }

    fn gguf_rope_scaling(&self, file: &Gguf) -> Result<Option<RopeScaling>> {
        let arch = self.architecture.as_str();
        match file.text_opt(&format!("{arch}.rope.scaling.type"))? {
            None | Some("none" | "") => {}
            Some("linear") => {
                let factor = file.float_opt(&format!("{arch}.rope.scaling.factor"))?.unwrap_or(1.0);
                return check_factor("rope.scaling.factor", factor)
                    .map(|factor| (factor != 1.0).then_some(RopeScaling::Linear { factor }));
            }
            Some(other) => return Err(unsupported_rope(other)),
        }
        let Some(divisors) = file.small_f32_tensor("rope_freqs.weight")? else { return Ok(None) };
        // GGUF stores the outcome of the Llama 3 rule, one divisor a frequency, not its parameters.
        // Every published model has these three; whatever else made the file is found out below.
        let factor = divisors.iter().copied().fold(1.0f64, |a, b| a.max(f64::from(b)));
        let rule =
            RopeScaling::Llama3 { factor, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_positions: 8192 };
        let mut frequencies: Vec<f32> = (0..self.head_dim / 2)
            .map(|i| self.rope_theta.powf(-2.0 * i as f64 / self.head_dim as f64) as f32)
            .collect();
        let plain = frequencies.clone();
        crate::ops::rope_scaled_frequencies(&mut frequencies, factor, 1.0, 4.0, 8192);
        let agrees = divisors.len() == plain.len()
            && plain.iter().zip(&frequencies).zip(&divisors).all(|((p, s), &d)| (p / s - d).abs() <= 1e-4 * p / s);
        if agrees { Ok((factor != 1.0).then_some(rule)) } else { Err(unsupported_rope("rope_freqs.weight")) }
    }

    /// Hugging Face name and shape (`[out, in]` for projections) of every weight that such a model has.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (h, d) = (self.hidden_size, self.head_dim);
        let (q, kv) = (self.num_heads * d, self.num_kv_heads * d);
        let mut all = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocab_size, h])];
        for layer in 0..self.num_layers {
            let mut add =
                |name: &str, shape: &[usize]| all.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
            add("input_layernorm.weight", &[h]);
            for (name, rows) in [("q", q), ("k", kv), ("v", kv)] {
                add(&format!("self_attn.{name}_proj.weight"), &[rows, h]);
                if self.qkv_bias {
                    add(&format!("self_attn.{name}_proj.bias"), &[rows]);
                }
            }
            if self.qk_norm {
                add("self_attn.q_norm.weight", &[d]);
                add("self_attn.k_norm.weight", &[d]);
            }
            add("self_attn.o_proj.weight", &[h, q]);
            add("post_attention_layernorm.weight", &[h]);
            add("mlp.gate_proj.weight", &[self.intermediate_size, h]);
            add("mlp.up_proj.weight", &[self.intermediate_size, h]);
            add("mlp.down_proj.weight", &[h, self.intermediate_size]);
        }
        all.push(("model.norm.weight".to_owned(), vec![h]));
        if !self.tie_word_embeddings {
            all.push(("lm_head.weight".to_owned(), vec![self.vocab_size, h]));
        }
        all
    }

    /// Number of weights; a tied output projection counts once.
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// Refuses sizes that no real model has, so that a damaged file cannot make anyone allocate from them.
    pub(super) fn validate(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 22),
            ("hidden_size", self.hidden_size, 1 << 16),
            ("intermediate_size", self.intermediate_size, 1 << 19),
            ("num_hidden_layers", self.num_layers, 1 << 10),
            ("num_attention_heads", self.num_heads, 1 << 10),
            ("num_key_value_heads", self.num_kv_heads, 1 << 10),
            ("head_dim", self.head_dim, 1 << 11),
            ("max_position_embeddings", self.max_positions, 1 << 28),
        ];
        for (name, value, limit) in sizes {
            if value == 0 || value > limit {
                return Err(field_error(name, tr!("{value} is not in 1..={limit}", "{value} 不在 1..={limit} 之内")));
            }
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            let (heads, kv) = (self.num_heads, self.num_kv_heads);
            return Err(field_error(
                "num_key_value_heads",
                tr!(
                    "{kv} does not divide num_attention_heads = {heads}",
                    "{kv} 不能整除 num_attention_heads = {heads}"
                ),
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            let d = self.head_dim;
            return Err(field_error(
                "head_dim",
                tr!("{d} is odd; rotary needs pairs", "{d} 是奇数，旋转位置编码需要成对的维"),
            ));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            let eps = self.rms_norm_eps;
            return Err(field_error("rms_norm_eps", tr!("{eps} is not between 0 and 1", "{eps} 不在 0 与 1 之间")));
        }
        if !(self.rope_theta.is_finite() && self.rope_theta >= 1.0) {
            let theta = self.rope_theta;
            return Err(field_error(
                "rope_theta",
                tr!("{theta} is not a number of at least 1", "{theta} 不是不小于 1 的数"),
            ));
        }
        Ok(())
    }
}

pub(super) fn derived_head_dim(hidden_size: usize, num_heads: usize) -> Option<usize> {
    (num_heads != 0 && hidden_size.is_multiple_of(num_heads)).then(|| hidden_size / num_heads)
}

pub(super) fn unsupported_rope(kind: &str) -> Error {
    let kind = kind.escape_default();
    unsupported(tr!("rotary scaling {kind} is not supported", "不支持旋转位置编码的缩放方式 {kind}"))
        .hint(tr!("supported: none, linear, llama3", "支持：none、linear、llama3"))
}

pub(super) fn check_factor(field: &str, factor: f64) -> Result<f64> {
    if factor.is_finite() && factor >= 1.0 {
        Ok(factor)
    } else {
        Err(field_error(field, tr!("{factor} is not a number of at least 1", "{factor} 不是不小于 1 的数")))
    }
}
