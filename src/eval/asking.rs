//! How an answer is asked for: what a definition says of written answers, and what is made of it.

use super::definition::{Definition, Preset};
use super::extract::{Extractor, Filter, LetterPattern, Letters};
use super::metric::{Metric, MetricFields};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How an answer is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The likeliest of the choices.
    #[default]
    Loglikelihood,
    /// In text that the model writes.
    Generate,
    /// In text that the model writes after reasoning step by step.
    Cot,
    /// There is none: how likely a text is.
    Perplexity,
}

impl Mode {
    /// Its name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Loglikelihood => "loglikelihood",
            Mode::Generate => "generate",
            Mode::Cot => "cot",
            Mode::Perplexity => "perplexity",
        }
    }
}

/// What a benchmark's items want of a model. lm-evaluation-harness's words for it are understood too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// One of several choices.
    #[default]
    #[serde(alias = "multiple_choice")]
    Choices,
    /// A written answer.
    #[serde(alias = "generate_until")]
    Generate,
    /// The probability of the item's text.
    #[serde(alias = "loglikelihood_rolling")]
    Perplexity,
}

/// `[generation_kwargs]` of a definition, in lm-evaluation-harness's words.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerationKwargs {
    /// Texts that end an answer; without it the preset's `fewshot_delimiter`.
    pub until: Option<Vec<String>>,
    /// The most tokens of an answer; without it 256.
    pub max_gen_toks: Option<usize>,
    /// 0 (the default) takes the likeliest token.
    pub temperature: Option<f64>,
    /// `false` takes the likeliest token whatever the temperature.
    pub do_sample: Option<bool>,
}

/// `[presets.NAME.generate]` and `[presets.NAME.cot]`: what these modes change in the preset's wording.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WrittenWording {
    /// Replaces the preset's `description`.
    pub description: Option<String>,
    /// Replaces the preset's `body`.
    pub body: Option<String>,
    /// Jinja template of a shot's answer, over what `body` may use, `label` and `choice`.
    pub target: Option<String>,
    /// Follows the body of the asked item alone: the beginning of the answer.
    pub lead: Option<String>,
    /// Replaces the preset's `target_delimiter`.
    pub target_delimiter: Option<String>,
    /// Replaces the definition's.
    pub until: Option<Vec<String>>,
    /// Replaces the definition's.
    pub max_gen_toks: Option<usize>,
    /// Tried in order before the usual phrases when a choice's label is looked for.
    pub extract: Vec<LetterPattern>,
}

/// What a plan's items are asked.
#[derive(Clone, Debug)]
pub enum Asks {
    /// The probability of each choice.
    Choices,
    /// A written answer.
    Written(Box<Writing>),
    /// The probability of the text, in windows of at most so many tokens (`None`: as many as the model takes).
    Rolling(Option<usize>),
}

/// How an answer is written and read.
#[derive(Clone, Debug)]
pub struct Writing {
    /// Whether it follows a chain of thought.
    pub cot: bool,
    /// Texts that end it.
    pub until: Vec<String>,
    /// The most tokens.
    pub max_tokens: usize,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// What is taken from it.
    pub reading: Reading,
}

/// What is taken from a written answer.
#[derive(Clone, Debug)]
pub enum Reading {
    /// The label of a choice.
    Label(Letters),
    /// One text per filter, each judged by every metric.
    Text {
        /// Named ways to take a text from the answer.
        filters: Vec<Extractor>,
        /// How it is compared with what is right.
        metrics: Vec<Metric>,
    },
}

/// The most tokens of an answer where nothing else is said (the harness's default).
const MAX_TOKENS: usize = 256;
/// The same for a chain of thought.
const MAX_COT_TOKENS: usize = 512;

impl Asks {
    /// The mode of these questions.
    pub fn mode(&self) -> Mode {
        match self {
            Asks::Choices => Mode::Loglikelihood,
            Asks::Written(writing) if writing.cot => Mode::Cot,
            Asks::Written(_) => Mode::Generate,
            Asks::Rolling(_) => Mode::Perplexity,
        }
    }

    /// `prompt_hash` together with everything else that decides what the model answers: answers of different modes
    /// or settings never pass for one another.
    pub fn stamp(&self, prompt_hash: String) -> String {
        let how = match self {
            Asks::Choices => return prompt_hash,
            Asks::Written(w) => format!("{:?} {} {}", w.until, w.max_tokens, w.temperature),
            Asks::Rolling(length) => format!("{length:?}"),
        };
        let text = format!("{prompt_hash}\n{}\n{how}", self.mode().name());
        super::prompt::hex(&Sha256::digest(text.as_bytes()))
    }
}

/// The wording and the questions of `definition` in `mode` (`None`: the one that its items want).
///
/// # Errors
/// `InvalidInput` for a preset that does not exist, a mode that the benchmark cannot be asked in, a chain of thought
/// that no preset words, a pattern that is none.
pub fn asking(definition: &Definition, preset: Option<&str>, mode: Option<Mode>) -> Result<(Preset, Asks)> {
    let mode = mode.unwrap_or(match definition.output {
        Output::Choices => Mode::Loglikelihood,
        Output::Generate => Mode::Generate,
        Output::Perplexity => Mode::Perplexity,
    });
    let fits = match definition.output {
        Output::Choices => mode != Mode::Perplexity,
        Output::Generate => matches!(mode, Mode::Generate | Mode::Cot),
        Output::Perplexity => mode == Mode::Perplexity,
    };
    if !fits {
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("{} cannot be asked in the mode {}", "{} 不能以 {} 模式评测", definition.name, mode.name()),
        )
        .hint(match definition.output {
            Output::Choices => {
                tr!("use --mode loglikelihood, generate or cot", "可用 --mode loglikelihood、generate 或 cot")
            }
            _ => tr!("leave --mode out", "请去掉 --mode"),
        }));
    }
    let preset = match (mode, preset) {
        (Mode::Cot, None) => definition.cot_preset()?,
        _ => definition.preset(preset)?,
    };
    match mode {
        Mode::Loglikelihood => Ok((preset, Asks::Choices)),
        Mode::Perplexity => Ok((preset, Asks::Rolling(definition.max_length))),
        Mode::Generate | Mode::Cot => written(definition, preset, mode == Mode::Cot),
    }
}

fn written(definition: &Definition, mut preset: Preset, cot: bool) -> Result<(Preset, Asks)> {
    let wording = match (cot, &preset.generate, &preset.cot) {
        (true, _, Some(wording)) | (false, Some(wording), _) => wording.clone(),
        (true, _, None) => return Err(no_cot(definition, &preset.name)),
        (false, None, _) => WrittenWording::default(),
    };
    let WrittenWording { description, body, target, lead, target_delimiter, until, max_gen_toks, extract } = wording;
    preset.description = description.unwrap_or(preset.description);
    preset.body = body.unwrap_or(preset.body);
    preset.target = target.or(preset.target);
    preset.lead = lead.unwrap_or_default();
    preset.target_delimiter = target_delimiter.unwrap_or(preset.target_delimiter);
    let kwargs = &definition.generation_kwargs;
    let until = until.or_else(|| kwargs.until.clone()).unwrap_or_else(|| vec![preset.fewshot_delimiter.clone()]);
    let wrong = |problem: String| {
        Error::new(Kind::InvalidInput, format!("{}: {problem}", definition.name))
            .hint(tr!("correct that pattern in the definition", "请改正定义中的该模式"))
    };
    let reading = match definition.output {
        Output::Choices => Reading::Label(Letters::new(&preset.labels, &extract).map_err(wrong)?),
        _ => Reading::Text {
            filters: extractors(&definition.filter_list).map_err(wrong)?,
            metrics: metrics(&definition.metric_list).map_err(wrong)?,
        },
    };
    let writing = Writing {
        cot,
        until: until.into_iter().filter(|text| !text.is_empty()).collect(),
        max_tokens: max_gen_toks.or(kwargs.max_gen_toks).unwrap_or(if cot { MAX_COT_TOKENS } else { MAX_TOKENS }),
        temperature: kwargs.temperature.filter(|_| kwargs.do_sample != Some(false)).unwrap_or(0.0),
        reading,
    };
    Ok((preset, Asks::Written(Box::new(writing))))
}

/// The definition's filters, or the one that takes the whole answer.
pub(super) fn extractors(filters: &[Filter]) -> Result<Vec<Extractor>, String> {
    match filters {
        [] => Ok(vec![Extractor::whole()]),
        filters => filters.iter().map(Extractor::new).collect(),
    }
}

/// The definition's metrics, or exact match.
pub(super) fn metrics(metrics: &[MetricFields]) -> Result<Vec<Metric>, String> {
    match metrics {
        [] => Ok(vec![Metric::new(&MetricFields::default())?]),
        metrics => metrics.iter().map(Metric::new).collect(),
    }
}

fn no_cot(definition: &Definition, preset: &str) -> Error {
    let with: Vec<&str> = definition.cot_presets().collect();
    Error::new(
        Kind::InvalidInput,
        tr!(
            "the preset `{preset}` of {} words no chain of thought",
            "{} 的预设 `{preset}` 没有思维链提示",
            definition.name
        ),
    )
    .hint(if with.is_empty() {
        tr!(
            "use --mode generate, or write a [presets.{preset}.cot]",
            "请用 --mode generate，或写出 [presets.{preset}.cot]"
        )
    } else {
        tr!("presets that do: {}", "有思维链的预设：{}", with.join(", "))
    })
}
