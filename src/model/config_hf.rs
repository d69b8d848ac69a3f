//! [`ModelConfig`] from and to a Hugging Face `config.json`.

use super::config::{
    Architecture, ModelConfig, RopeScaling, check_factor, derived_head_dim, field_error, unsupported, unsupported_rope,
};
use crate::error::{Error, Result};
use crate::tr;
use serde_json::{Map, Value, json};

/// Reads fields of a `config.json`; absent and `null` are the same.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    fn size_or(&self, name: &str, default: impl FnOnce() -> Option<usize>) -> Result<usize> {
        match self.get(name) {
            Some(value) => value.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| {
                field_error(name, tr!("expected a whole number, found {value}", "应为非负整数，实为 {value}"))
            }),
            None => default().ok_or_else(|| field_error(name, tr!("is missing", "缺失"))),
        }
    }

    fn size(&self, name: &str) -> Result<usize> {
        self.size_or(name, || None)
    }

    fn float_or(&self, name: &str, default: Option<f64>) -> Result<f64> {
        match self.get(name) {
            Some(value) => value
                .as_f64()
                .ok_or_else(|| field_error(name, tr!("expected a number, found {value}", "应为数字，实为 {value}"))),
            None => default.ok_or_else(|| field_error(name, tr!("is missing", "缺失"))),
        }
    }

    fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            Some(value) => value.as_bool().ok_or_else(|| {
                field_error(name, tr!("expected true or false, found {value}", "应为 true 或 false，实为 {value}"))
            }),
            None => Ok(default),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
}

impl ModelConfig {
    /// Reads a parsed `config.json`.
    ///
    /// # Errors
    /// `Unsupported` for another architecture or a variant of it that this decoder lacks,
    /// `InvalidInput` naming the field for a value that is missing, of the wrong type or out of range.
    pub fn from_hf(json: &Value) -> Result<ModelConfig> {
        let object = json.as_object().ok_or_else(|| field_error("config.json", tr!("is not an object", "不是对象")))?;
        let f = Fields(object);
        let name = f
            .text("model_type")
            .or_else(|| f.get("architectures").and_then(|a| a.get(0)).and_then(Value::as_str))
            .ok_or_else(|| field_error("model_type", tr!("is missing", "缺失")))?;
        let architecture = Architecture::parse(name)?;
        refuse_variants(&f, architecture)?;

        // transformers 5 moved everything rotary into `rope_parameters`.
        let rope_object = f.get("rope_parameters").or_else(|| f.get("rope_scaling")).and_then(Value::as_object);
        let rope = rope_object.map(Fields);
        let rope_theta = match &rope {
            Some(rope) if rope.get("rope_theta").is_some() => rope.float_or("rope_theta", None)?,
            _ => f.float_or("rope_theta", Some(10_000.0))?,
        };
        let max_positions = f.size_or("max_position_embeddings", || Some(2048))?;
        let rope_scaling = match &rope {
            Some(rope) => hf_rope_scaling(rope, max_positions)?,
            None => None,
        };

        let hidden_size = f.size("hidden_size")?;
        let num_heads = f.size("num_attention_heads")?;
        let config = ModelConfig {
            architecture,
            vocab_size: f.size("vocab_size")?,
            hidden_size,
            intermediate_size: f.size("intermediate_size")?,
            num_layers: f.size("num_hidden_layers")?,
            num_heads,
            num_kv_heads: f.size_or("num_key_value_heads", || Some(num_heads))?,
            head_dim: f.size_or("head_dim", || derived_head_dim(hidden_size, num_heads))?,
            rms_norm_eps: f.float_or("rms_norm_eps", Some(1e-6))?,
            rope_theta,
            rope_scaling,
            max_positions,
            tie_word_embeddings: f.flag_or("tie_word_embeddings", false)?,
            qkv_bias: architecture == Architecture::Qwen2,
            qk_norm: architecture == Architecture::Qwen3,
        };
        config.validate()?;
        Ok(config)
    }

    /// The `config.json` of this model. Reading it back with [`ModelConfig::from_hf`] gives the same value.
    pub fn to_hf(&self) -> Value {
        let mut json = json!({
            "architectures": [self.architecture.class()],
            "attention_bias": false,
            "attention_dropout": 0.0,
            "dtype": "float32",
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_positions,
            "mlp_bias": false,
            "model_type": self.architecture.as_str(),
            "num_attention_heads": self.num_heads,
            "num_hidden_layers": self.num_layers,
            "num_key_value_heads": self.num_kv_heads,
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "rope_scaling": null,
            "tie_word_embeddings": self.tie_word_embeddings,
            "use_cache": true,
            "vocab_size": self.vocab_size,
        });
        json["rope_scaling"] = match self.rope_scaling {
            None => Value::Null,
            Some(RopeScaling::Linear { factor }) => json!({"rope_type": "linear", "factor": factor}),
            Some(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions }) => json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original_max_positions,
            }),
        };
        json
    }
}

/// Switches of these families that change the arithmetic and that the decoder does not have.
fn refuse_variants(f: &Fields, architecture: Architecture) -> Result<()> {
    let refuse = |what: &str| Err(unsupported(tr!("models with {what} are not supported", "不支持带有 {what} 的模型")));
    match f.text("hidden_act") {
        None | Some("silu" | "swish") => {}
        Some(other) => return refuse(&format!("hidden_act = {}", other.escape_default())),
    }
    for name in ["attention_bias", "mlp_bias", "use_sliding_window"] {
        if f.flag_or(name, false)? && !(name == "attention_bias" && architecture == Architecture::Qwen2) {
            return refuse(name);
        }
    }
    if f.float_or("partial_rotary_factor", Some(1.0))? != 1.0 {
        return refuse("partial_rotary_factor");
    }
    if f.get("quantization_config").is_some() {
        return refuse("quantization_config").map_err(|e: Error| {
            e.hint(tr!("use the unquantised model, or its GGUF file", "请使用未量化的模型，或它的 GGUF 文件"))
        });
    }
    Ok(())
}

fn hf_rope_scaling(rope: &Fields, max_positions: usize) -> Result<Option<RopeScaling>> {
    // `type` is the older spelling of `rope_type`.
    match rope.text("rope_type").or_else(|| rope.text("type")).unwrap_or("default") {
        "default" => Ok(None),
        "linear" => Ok(Some(RopeScaling::Linear {
            factor: check_factor("rope_scaling.factor", rope.float_or("factor", None)?)?,
        })),
        "llama3" => {
            let low_freq_factor =
                check_factor("rope_scaling.low_freq_factor", rope.float_or("low_freq_factor", None)?)?;
            let high_freq_factor =
                check_factor("rope_scaling.high_freq_factor", rope.float_or("high_freq_factor", None)?)?;
            if high_freq_factor <= low_freq_factor {
                return Err(field_error(
                    "rope_scaling.high_freq_factor",
                    tr!("is not above low_freq_factor", "不大于 low_freq_factor"),
                ));
            }
            Ok(Some(RopeScaling::Llama3 {
                factor: check_factor("rope_scaling.factor", rope.float_or("factor", None)?)?,
                low_freq_factor,
                high_freq_factor,
                original_max_positions: rope.size_or("original_max_position_embeddings", || Some(max_positions))?,
            }))
        }
        other => Err(unsupported_rope(other)),
    }
}
