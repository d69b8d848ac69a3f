//! A task file of lm-evaluation-harness (YAML) as a definition (TOML), with the fields that could not be carried over
//! by name: nothing is dropped in silence.

use super::definition::Definition;
use crate::error::{Error, Kind, Result};
use crate::tr;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};
use std::path::Path;

/// A converted task.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The definition's text.
    pub definition: String,
    /// Fields that have no counterpart, each with the reason.
    pub not_carried: Vec<String>,
}

/// Task files may include one another; more levels than this are a circle.
const DEEPEST: usize = 8;

/// Fields that change nothing in a score, and need not be told.
const HARMLESS: [&str; 9] = [
    "tag",
    "group",
    "task_alias",
    "metadata",
    "training_split",
    "validation_split",
    "should_decontaminate",
    "doc_to_decontamination_query",
    "unsafe_code",
];

/// Converts the task file `path`.
///
/// # Errors
/// `NotFound`, `InvalidInput` for what is no task file, `Unsupported` for a kind of task that has no counterpart.
pub fn import_task(path: &Path) -> Result<Imported> {
    let mut task = Task { fields: read(path, 0)?, not_carried: Vec::new() };
    let definition = task.convert()?;
    let text = toml::to_string(&definition).map_err(|e| Error::internal(e.to_string()))?;
    // What was written must be readable: better told here than at the first run.
    Definition::parse(&text, &path.display().to_string())?;
    Ok(Imported { definition: format!("{}{text}", task.heading(path)), not_carried: task.not_carried })
}

/// The fields of a task file, those of the files that it includes below its own.
fn read(path: &Path, depth: usize) -> Result<Map<String, Value>> {
    let wrong = |what: String| {
        Error::new(Kind::InvalidInput, format!("{}: {what}", path.display()))
            .hint(tr!("give a task file of lm-evaluation-harness", "请给出 lm-evaluation-harness 的任务文件"))
    };
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, &e))?;
    let documents = Yaml::load_from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let Some(Value::Object(own)) = documents.first().map(plain) else {
        return Err(wrong(tr!("it is not a mapping", "不是键值映射")));
    };
    let Some(include) = own.get("include").and_then(Value::as_str) else { return Ok(own) };
    if depth == DEEPEST {
        return Err(wrong(tr!("its includes never end", "include 循环引用")));
    }
    let mut fields = read(&path.parent().unwrap_or(Path::new("")).join(include), depth + 1)?;
    fields.extend(own.into_iter().filter(|(name, _)| name != "include"));
    Ok(fields)
}

/// Marks a value with a tag of the harness's own (`!function utils.f`): code that only Python can run.
const CODE: &str = "!";

/// A node as JSON.
fn plain(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Value(Scalar::Null) | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
        Yaml::Representation(text, _, Some(tag)) => json!({ CODE: format!("{} {text}", tag.suffix) }),
        Yaml::Representation(text, _, None) => json!(text),
        Yaml::Tagged(tag, inner) => {
            let text = inner.as_str().map(str::to_owned).unwrap_or_default();
            json!({ CODE: format!("{} {text}", tag.suffix) })
        }
        Yaml::Sequence(nodes) => nodes.iter().map(plain).collect(),
        Yaml::Mapping(nodes) => {
            let key = |node: &Yaml<'_>| match plain(node) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Value::Object(nodes.iter().map(|(name, value)| (key(name), plain(value))).collect())
        }
    }
}

/// Whether a value is code.
fn is_code(value: &Value) -> bool {
    value.get(CODE).is_some()
}

/// A task on its way.
struct Task {
    fields: Map<String, Value>,
    not_carried: Vec<String>,
}

impl Task {
    /// Takes a field out; code counts as absent, and is told.
    fn take(&mut self, name: &str) -> Option<Value> {
        let value = self.fields.remove(name).filter(|value| !value.is_null())?;
        if is_code(&value) {
            self.lose(name, &tr!("it is Python code", "它是 Python 代码"));
            return None;
        }
        Some(value)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    fn lose(&mut self, name: &str, why: &str) {
        self.not_carried.push(format!("{name}: {why}"));
    }

    fn convert(&mut self) -> Result<Map<String, Value>> {
        let name = self.text("task").unwrap_or_else(|| "imported".into());
        let kind = self.text("output_type").unwrap_or_else(|| "generate_until".into());
        if !["multiple_choice", "generate_until", "loglikelihood_rolling"].contains(&kind.as_str()) {
            return Err(Error::new(
                Kind::Unsupported,
                tr!("tasks of the type `{kind}` have no counterpart", "没有与 `{kind}` 类型对应的评测"),
            )
            .hint(tr!(
                "multiple_choice, generate_until and loglikelihood_rolling can be imported",
                "可导入 multiple_choice、generate_until 和 loglikelihood_rolling"
            )));
        }
        let source = self.text("dataset_path").unwrap_or_default();
        let mut out = Map::from_iter([
            ("name".to_owned(), json!(name)),
            ("title".to_owned(), json!(name)),
            ("source".to_owned(), json!(if source.is_empty() { "unknown" } else { &source })),
            ("licence".to_owned(), json!("unknown")),
            ("lang".to_owned(), json!("en")),
            ("folder".to_owned(), json!(".")),
            ("output".to_owned(), json!(kind)),
            ("default_preset".to_owned(), json!("lm-eval")),
        ]);
        self.splits(&source, &mut out);
        self.shots(&mut out);
        let columns = self.columns(&kind);
        let preset = self.preset(&kind)?;
        out.insert("presets".to_owned(), json!({ "lm-eval": preset }));
        out.insert("columns".to_owned(), Value::Object(columns));
        if kind == "generate_until" {
            self.generation(&mut out);
        } else {
            // Every accuracy and every perplexity is given anyway.
            self.fields.remove("metric_list");
        }
        self.fields.retain(|field, value| {
            let dull = HARMLESS.contains(&field.as_str()) || field == "repeats" && *value == 1 || value.is_null();
            if !dull {
                let why = if is_code(value) {
                    tr!("it is Python code", "它是 Python 代码")
                } else {
                    tr!("it has no counterpart", "没有对应的字段")
                };
                self.not_carried.push(format!("{field}: {why}"));
            }
            false
        });
        Ok(out)
    }

    /// Where the rows are.
    fn splits(&mut self, source: &str, out: &mut Map<String, Value>) {
        let split_of = |name: &str| self.fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let (test, validation, training) =
            (split_of("test_split"), split_of("validation_split"), split_of("training_split"));
        let scored = test.clone().or_else(|| validation.clone()).unwrap_or_else(|| "test".into());
        let config = self.fields.get("fewshot_config").and_then(|c| c.get("split")).and_then(Value::as_str);
        let shots = split_of("fewshot_split").or(config.map(str::to_owned)).or(training).or(validation);
        let shots = shots.unwrap_or_else(|| scored.clone());
        for name in ["test_split", "fewshot_split"] {
            self.fields.remove(name);
        }
        let kwargs = self.take("dataset_kwargs").unwrap_or_default();
        let local = matches!(source, "json" | "csv" | "text");
        let mut files = Map::new();
        match kwargs.get("data_files") {
            Some(Value::Object(named)) if local => {
                for (split, file) in named {
                    match file.as_str().or_else(|| file.get(0).and_then(Value::as_str)) {
                        Some(file) => _ = files.insert(split.clone(), json!(file)),
                        None => self.not_carried.push(format!("dataset_kwargs.data_files.{split}")),
                    }
                }
            }
            Some(Value::String(file)) if local => _ = files.insert("train".into(), json!(file)),
            _ => {}
        }
        let format = match (source, files.values().find_map(Value::as_str)) {
            ("csv", _) => "csv",
            ("text", _) => "txt",
            (_, Some(file)) if file.ends_with(".json") => "json",
            _ => "jsonl",
        };
        for split in [&scored, &shots] {
            if !files.contains_key(split.as_str()) {
                files.insert(split.clone(), json!(format!("{split}.{format}")));
            }
        }
        if !local {
            let names: Vec<String> = files.values().filter_map(Value::as_str).map(str::to_owned).collect();
            let names = names.join(", ");
            self.lose(
                "dataset_path",
                &tr!(
                    "write the rows of {source} as JSON lines into {names}",
                    "请把 {source} 的数据以 JSON Lines 写入 {names}"
                ),
            );
        }
        if let Some(kwargs) = kwargs.as_object() {
            for name in kwargs.keys().filter(|name| *name != "data_files" && *name != "trust_remote_code") {
                self.not_carried.push(format!("dataset_kwargs.{name}"));
            }
        }
        out.insert("format".into(), json!(format));
        out.insert("split".into(), json!(scored));
        out.insert("fewshot_split".into(), json!(shots));
        out.insert("files".into(), Value::Object(files));
    }

    /// How few-shots are chosen.
    fn shots(&mut self, out: &mut Map<String, Value>) {
        if let Some(count) = self.take("num_fewshot").and_then(|n| n.as_u64()) {
            out.insert("num_fewshot".into(), json!(count));
        }
        let config = self.take("fewshot_config").unwrap_or_default();
        let sampler = config.get("sampler").and_then(Value::as_str).unwrap_or("default");
        // The harness samples unless it is told to take the first.
        out.insert("fewshot_sampler".into(), json!(if sampler == "first_n" { "first" } else { "random" }));
        if let Some(config) = config.as_object() {
            for name in config.keys().filter(|name| !["sampler", "split"].contains(&name.as_str())) {
                self.not_carried.push(format!("fewshot_config.{name}"));
            }
        }
    }

    /// Choices and answer, as templates over a row.
    fn columns(&mut self, kind: &str) -> Map<String, Value> {
        let mut columns = Map::new();
        if kind == "loglikelihood_rolling" {
            return columns;
        }
        match self.take("doc_to_choice") {
            Some(Value::Array(fixed)) => {
                let list = serde_json::to_string(&fixed).unwrap_or_default();
                columns.insert("choices".into(), json!(format!("{{{{{list}}}}}")));
            }
            Some(Value::String(text)) => _ = columns.insert("choices".into(), json!(template(&text))),
            Some(_) => self.lose("doc_to_choice", &tr!("neither a list nor a template", "既不是列表也不是模板")),
            None => {}
        }
        let answer = match self.take("doc_to_target") {
            Some(Value::String(text)) => template(&text),
            Some(other) => format!("{{{{{other}}}}}"),
            None => "{{''}}".into(),
        };
        columns.insert("answer".into(), json!(answer));
        if columns.contains_key("choices") {
            columns.insert("answer_is".into(), json!("choice"));
        }
        columns
    }

    /// The wording.
    fn preset(&mut self, kind: &str) -> Result<Map<String, Value>> {
        let mut preset = Map::new();
        let field = if kind == "loglikelihood_rolling" { "doc_to_target" } else { "doc_to_text" };
        let Some(body) = self.text(field) else {
            return Err(Error::new(
                Kind::Unsupported,
                tr!("`{field}` is missing or Python code", "`{field}` 缺失或为 Python 代码"),
            )
            .hint(tr!(
                "write the definition by hand, after docs/benchmark-definitions.md",
                "请按 docs/benchmark-definitions.md 手写定义"
            )));
        };
        if kind == "loglikelihood_rolling" {
            self.fields.remove("doc_to_text");
        }
        preset.insert("body".into(), json!(template(&body)));
        for (theirs, own) in [
            ("description", "description"),
            ("target_delimiter", "target_delimiter"),
            ("fewshot_delimiter", "fewshot_delimiter"),
        ] {
            if let Some(text) = self.text(theirs) {
                preset.insert(own.into(), json!(text));
            }
        }
        if kind == "multiple_choice" {
            preset.insert("choice_style".into(), json!("text"));
        }
        Ok(preset)
    }

    /// How answers are written, taken and judged.
    fn generation(&mut self, out: &mut Map<String, Value>) {
        if let Some(Value::Object(kwargs)) = self.take("generation_kwargs") {
            let mut kept = Map::new();
            for (name, value) in kwargs {
                match (name.as_str(), value) {
                    ("until", Value::String(text)) => _ = kept.insert(name, json!([text])),
                    ("until" | "max_gen_toks" | "temperature" | "do_sample", value) if !value.is_null() => {
                        kept.insert(name, value);
                    }
                    (_, Value::Null) => {}
                    _ => self.not_carried.push(format!("generation_kwargs.{name}")),
                }
            }
            out.insert("generation_kwargs".into(), Value::Object(kept));
        }
        for (name, known) in [("filter_list", "filter"), ("metric_list", "metric")] {
            let Some(Value::Array(list)) = self.take(name) else { continue };
            let kept: Vec<Value> = list
                .into_iter()
                .filter_map(|entry| {
                    // Whatever the definition's own reader takes is carried over, and nothing else.
                    let usable = match known {
                        "filter" => serde_json::from_value::<super::extract::Filter>(entry.clone()).is_ok(),
                        _ => serde_json::from_value::<super::metric::MetricFields>(entry.clone()).is_ok(),
                    };
                    if !usable {
                        let label = entry.get("name").or(entry.get("metric")).and_then(Value::as_str).unwrap_or("?");
                        self.not_carried.push(format!("{name} `{label}`"));
                    }
                    usable.then_some(entry)
                })
                .collect();
            if !kept.is_empty() {
                out.insert(name.into(), Value::Array(kept));
            }
        }
    }

    /// A comment that says where the definition comes from and what it lacks.
    fn heading(&self, path: &Path) -> String {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let mut text = format!("# Imported from lm-evaluation-harness: {}\n", crate::text::one_line(&file));
        for field in &self.not_carried {
            text.push_str(&format!("# Not carried over: {}\n", crate::text::one_line(field)));
        }
        text + "\n"
    }
}

/// A field of the harness as a template: a bare word is the name of a column there.
fn template(text: &str) -> String {
    let is_name =
        text.chars().all(|c| c.is_alphanumeric() || c == '_') && text.starts_with(|c: char| !c.is_ascii_digit());
    if is_name { format!("{{{{{text}}}}}") } else { text.to_owned() }
}
