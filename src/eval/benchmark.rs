//! Finding benchmarks: the ones that come with the program by name, others by the path of their
//! definition; and where their data lies.

use super::definition::{Definition, Subject};
use crate::error::{Error, Kind, Result};
use crate::tr;
use std::path::{Path, PathBuf};

/// Definitions that come with the program, in the order in which lists show them.
const BUILT_IN: [(&str, &str); 8] = [
    ("finance-qa", include_str!("../../evals/finance-qa.toml")),
    ("ceval", include_str!("../../evals/ceval.toml")),
    ("cmmlu", include_str!("../../evals/cmmlu.toml")),
    ("mmlu", include_str!("../../evals/mmlu.toml")),
    ("financeiq", include_str!("../../evals/financeiq.toml")),
    ("fineval", include_str!("../../evals/fineval.toml")),
    ("gsm8k", include_str!("../../evals/gsm8k.toml")),
    ("tatqa", include_str!("../../evals/tatqa.toml")),
];

/// Tables that come with the program, so that the project's own benchmark works without a download.
const EMBEDDED: [(&str, &str); 8] = [
    ("finance-qa/zh_dev.csv", include_str!("../../evals/finance-qa/zh_dev.csv")),
    ("finance-qa/zh_test.csv", include_str!("../../evals/finance-qa/zh_test.csv")),
    ("finance-qa/en_dev.csv", include_str!("../../evals/finance-qa/en_dev.csv")),
    ("finance-qa/en_test.csv", include_str!("../../evals/finance-qa/en_test.csv")),
    ("finance-qa/zh-define_dev.csv", include_str!("../../evals/finance-qa/zh-define_dev.csv")),
    ("finance-qa/zh-define_test.csv", include_str!("../../evals/finance-qa/zh-define_test.csv")),
    ("finance-qa/en-define_dev.csv", include_str!("../../evals/finance-qa/en-define_dev.csv")),
    ("finance-qa/en-define_test.csv", include_str!("../../evals/finance-qa/en-define_test.csv")),
];

/// Groups that stand for several benchmarks on the command line.
pub const GROUPS: [&str; 4] = ["finance", "zh", "en", "all"];

/// A definition together with the place of its data.
#[derive(Clone, Debug)]
pub struct Benchmark {
    /// The definition.
    pub definition: Definition,
    /// How to ask for it again: its name, or the absolute path of its file.
    pub reference: String,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    Embedded,
    Folder(PathBuf),
    /// The folders that were looked for.
    Missing(Vec<PathBuf>),
}

/// The definitions that come with the program.
///
/// # Errors
/// None in a sound build; those of [`Definition::parse`].
pub fn built_in() -> Result<Vec<Definition>> {
    BUILT_IN.iter().map(|(name, text)| Definition::parse(text, &format!("evals/{name}.toml"))).collect()
}

/// The benchmarks that `names` stand for: a name, the path of a definition, or a group. A group
/// takes those whose data is there; each benchmark comes once.
///
/// # Errors
/// `NotFound` for a name or a file that does not exist, and for a group of which nothing is there.
pub fn resolve(names: &[String], data_dir: Option<&Path>) -> Result<Vec<Benchmark>> {
    let mut found: Vec<Benchmark> = Vec::new();
    for name in names {
        let batch = if GROUPS.contains(&name.as_str()) {
            let members: Vec<Benchmark> = built_in()?
                .into_iter()
                .filter(|d| d.is_in(name))
                .map(|d| Benchmark::built_in(d, data_dir))
                .filter(|b| !matches!(b.data, Data::Missing(_)))
                .collect();
            if members.is_empty() {
                return Err(Error::new(
                    Kind::NotFound,
                    tr!("no benchmark of the group `{name}` has its data here", "组 `{name}` 中没有任何基准的数据"),
                )
                .hint(data_hint()));
            }
            members
        } else {
            vec![find(name, data_dir)?]
        };
        for benchmark in batch {
            if found.iter().all(|b| b.reference != benchmark.reference) {
                found.push(benchmark);
            }
        }
    }
    Ok(found)
}

/// Whether `name` stands for several benchmarks.
pub fn is_group(name: &str) -> bool {
    GROUPS.contains(&name)
}

/// The benchmark called `name`, or defined by the file `name`.
///
/// # Errors
/// `NotFound` with the names there are; those of [`Definition::parse`].
pub fn find(name: &str, data_dir: Option<&Path>) -> Result<Benchmark> {
    if let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        let definition = Definition::parse(text, &format!("evals/{name}.toml"))?;
        return Ok(Benchmark::built_in(definition, data_dir));
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "toml") || path.components().count() > 1 {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::io(path, &e).hint(tr!(
                "give the path of a definition file (.toml), or one of {}",
                "请给出定义文件（.toml）的路径，或使用 {}",
                names().join(", ")
            ))
        })?;
        let definition = Definition::parse(&text, name)?;
        let path = path.canonicalize().map_err(|e| Error::io(path, &e))?;
        let beside = path.parent().map(Path::to_owned).unwrap_or_default().join(&definition.folder);
        let places: Vec<PathBuf> =
            std::iter::once(beside).chain(data_dir.map(|dir| dir.join(&definition.folder))).collect();
        let data = match places.iter().find(|place| place.is_dir()) {
            Some(place) => Data::Folder(place.clone()),
            None => Data::Missing(places),
        };
        return Ok(Benchmark { definition, reference: path.to_string_lossy().into_owned(), data });
    }
    Err(Error::new(Kind::NotFound, tr!("there is no benchmark `{name}`", "没有名为 `{name}` 的基准")).hint(tr!(
        "there are {}; the groups {}; or give the path of a definition file (.toml)",
        "现有 {}；组 {}；也可以给出定义文件（.toml）的路径",
        names().join(", "),
        GROUPS.join(", ")
    )))
}

fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

fn data_hint() -> String {
    tr!(
        "fetch a benchmark with `linly-bench evals pull`, or name the folder that holds it with --data-dir DIR or LINLY_BENCH_DATA; `finance-qa` needs no download",
        "请用 `linly-bench evals pull` 下载基准，或用 --data-dir DIR 或 LINLY_BENCH_DATA 指出其上级目录；`finance-qa` 无需下载"
    )
}

impl Benchmark {
    fn built_in(definition: Definition, data_dir: Option<&Path>) -> Benchmark {
        let prefix = format!("{}/", definition.folder);
        let data = if EMBEDDED.iter().any(|(path, _)| path.starts_with(&prefix)) {
            Data::Embedded
        } else {
            let place = data_dir.map(|dir| dir.join(&definition.folder));
            match place.filter(|p| p.is_dir()) {
                Some(place) => Data::Folder(place),
                None => Data::Missing(data_dir.map(|dir| dir.join(&definition.folder)).into_iter().collect()),
            }
        };
        Benchmark { reference: definition.name.clone(), definition, data }
    }

    /// Whether its data comes with the program.
    pub fn is_embedded(&self) -> bool {
        matches!(self.data, Data::Embedded)
    }

    /// Whether its data was found.
    pub fn is_present(&self) -> bool {
        !matches!(self.data, Data::Missing(_))
    }

    /// The folder of its data; `None` when it is part of the program or not there.
    pub fn folder(&self) -> Option<&Path> {
        match &self.data {
            Data::Folder(folder) => Some(folder),
            _ => None,
        }
    }

    /// Files that the definition names and that are not there: relative to the data's folder.
    ///
    /// # Errors
    /// Those of [`Benchmark::subjects`] other than a missing file.
    pub fn missing_files(&self) -> Result<Vec<String>> {
        let absent = |file: &String| self.read(file).is_err_and(|e| e.kind == Kind::NotFound);
        let mapping: Vec<String> = self.definition.subjects.file.iter().filter(|file| absent(file)).cloned().collect();
        if !mapping.is_empty() {
            // Without the mapping nobody knows which subjects there are.
            return Ok(mapping.into_iter().chain(self.definition.files.values().cloned()).collect());
        }
        let subjects = self.subjects(&[])?;
        let mut files: Vec<String> = subjects
            .iter()
            .flat_map(|s| self.definition.files.values().map(|file| file.replace("{subject}", &s.handle)))
            .collect();
        files.sort();
        files.dedup();
        files.retain(|file| match &self.data {
            Data::Folder(folder) => !folder.join(file).is_file(),
            _ => absent(file),
        });
        Ok(files)
    }

    /// The bytes of a file of the benchmark, and its name for messages.
    ///
    /// # Errors
    /// `NotFound` when the benchmark's folder is not there (with where to get it), or that file is not.
    pub(super) fn read(&self, relative: &str) -> Result<(Vec<u8>, String)> {
        match &self.data {
            Data::Embedded => {
                let wanted = format!("{}/{relative}", self.definition.folder);
                let table = EMBEDDED.iter().find(|(path, _)| *path == wanted);
                table
                    .map(|(path, text)| (text.as_bytes().to_vec(), format!("evals/{path}")))
                    .ok_or_else(|| Error::internal(format!("evals/{wanted} is not part of this build")))
            }
            Data::Folder(folder) => {
                let path = folder.join(relative);
                let bytes = std::fs::read(&path).map_err(|e| {
                    Error::io(&path, &e).hint(tr!(
                        "the definition of {} expects that file; its data comes from {}",
                        "{} 的定义需要该文件；数据来自 {}",
                        self.definition.name,
                        self.definition.source
                    ))
                })?;
                Ok((bytes, path.display().to_string()))
            }
            Data::Missing(places) => {
                let name = &self.definition.name;
                let looked: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
                let message = if looked.is_empty() {
                    tr!(
                        "the data of {name} is not here: no data folder was named",
                        "找不到 {name} 的数据：未指定数据目录"
                    )
                } else {
                    tr!("the data of {} is not in {}", "在 {1} 中找不到 {0} 的数据", name, looked.join(", "))
                };
                Err(Error::new(Kind::NotFound, message).hint(tr!(
                    "get it from {} ({}) and name the folder that holds `{}` with --data-dir DIR or LINLY_BENCH_DATA",
                    "请从 {} 获取（{}），并用 --data-dir DIR 或 LINLY_BENCH_DATA 指出 `{}` 所在的目录",
                    self.definition.source,
                    self.definition.licence,
                    self.definition.folder
                )))
            }
        }
    }

    /// The subjects in the benchmark's own order; `wanted` (handles or titles) narrows them.
    ///
    /// # Errors
    /// `InvalidInput` for a subject that does not exist (with the nearest names) or a mapping that
    /// is not as the definition says; those of [`Benchmark::read`].
    pub fn subjects(&self, wanted: &[String]) -> Result<Vec<Subject>> {
        let all = self.all_subjects()?;
        for name in wanted {
            if !all.iter().any(|s| s.handle == *name || s.title == *name) {
                let near = nearest(name, all.iter().map(|s| s.handle.as_str()));
                return Err(Error::new(
                    Kind::InvalidInput,
                    tr!("{} has no subject `{name}`", "{} 没有科目 `{name}`", self.definition.name),
                )
                .hint(tr!("the nearest names: {}", "相近的名称：{}", near.join(", "))));
            }
        }
        let chosen = |s: &Subject| wanted.is_empty() || wanted.iter().any(|w| *w == s.handle || *w == s.title);
        Ok(all.into_iter().filter(chosen).collect())
    }

    fn all_subjects(&self) -> Result<Vec<Subject>> {
        let definition = &self.definition;
        let mut subjects = match &definition.subjects.file {
            Some(file) => self.mapped_subjects(file)?,
            None if definition.subjects.list.is_empty() => vec![Subject {
                handle: definition.name.clone(),
                title: definition.title.clone(),
                category: String::new(),
                lang: String::new(),
            }],
            None => definition.subjects.list.clone(),
        };
        for subject in &mut subjects {
            if subject.title.is_empty() {
                subject.title = subject.handle.replace('_', " ");
            }
            if subject.lang.is_empty() {
                subject.lang.clone_from(&definition.lang);
            }
        }
        Ok(subjects)
    }

    fn mapped_subjects(&self, file: &str) -> Result<Vec<Subject>> {
        let (bytes, place) = self.read(file)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let wrong = |what: String| {
            Error::new(Kind::InvalidInput, format!("{place}: {what}")).hint(tr!(
                "it must be a JSON object from subject handles to what [subjects] of the definition points at",
                "它应是一个 JSON 对象：科目名 → 定义中 [subjects] 所指的内容"
            ))
        };
        let mapping: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|e| wrong(e.to_string()))?;
        let text = |value: &serde_json::Value, handle: &str, pointer: &Option<String>| -> Result<String> {
            let Some(pointer) = pointer else { return Ok(String::new()) };
            let found = value.pointer(pointer).and_then(serde_json::Value::as_str);
            found.map(str::to_owned).ok_or_else(|| {
                wrong(tr!("`{handle}` has no text at `{pointer}`", "`{handle}` 在 `{pointer}` 处没有文本"))
            })
        };
        mapping
            .iter()
            .map(|(handle, value)| {
                Ok(Subject {
                    handle: handle.clone(),
                    title: text(value, handle, &self.definition.subjects.title)?,
                    category: text(value, handle, &self.definition.subjects.category)?,
                    lang: String::new(),
                })
            })
            .collect()
    }
}

/// The five of `names` with the smallest edit distance to `wanted`.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut ranked: Vec<(usize, &str)> = names.map(|name| (edit_distance(wanted, name), name)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(5).map(|(_, name)| name).collect()
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(ca != *cb)).min(*cell + 1).min(left + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
