//! Benchmarks themselves: which there are, whether a definition is sound, and where the data comes from.

use super::Workbench;
use crate::error::{Error, Kind, Result};
use crate::eval::{self, Benchmark, Definition, PlanRequest, Skipped, Source};
use crate::job::CancelToken;
use crate::model::download::Expected;
use crate::model::hub::Sources;
use crate::tr;
use serde::Serialize;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

/// A benchmark in the list.
#[derive(Clone, Debug, Serialize)]
pub struct ListedBenchmark {
    /// What `run` takes.
    pub name: String,
    /// For people.
    pub title: String,
    /// `zh`, `en` or `mixed`.
    pub lang: String,
    /// Groups beside the language.
    pub tags: Vec<String>,
    /// How it is asked where nothing else is said.
    pub mode: &'static str,
    /// Wordings.
    pub presets: Vec<String>,
    /// Whether its data is here.
    pub present: bool,
    /// Whether `evals pull` knows where its data is to be had.
    pub pullable: bool,
    /// Licence of the data.
    pub licence: String,
    /// Where the data comes from.
    pub source: String,
}

/// The benchmarks that come with the program.
///
/// # Errors
/// Those of [`eval::built_in`].
pub fn list(bench: &Workbench) -> Result<Vec<ListedBenchmark>> {
    let each = |definition: Definition| {
        let found = eval::find(&definition.name, bench.settings.data_dir.as_deref())?;
        let (_, asks) = eval::asking(&definition, None, None)?;
        Ok(ListedBenchmark {
            mode: asks.mode().name(),
            presets: definition.presets.keys().cloned().collect(),
            present: found.is_present(),
            pullable: !definition.download.is_empty(),
            name: definition.name,
            title: definition.title,
            lang: definition.lang,
            tags: definition.tags,
            licence: definition.licence,
            source: definition.source,
        })
    };
    eval::built_in()?.into_iter().map(each).collect()
}

/// What a look at a definition found.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The benchmark's name.
    pub name: String,
    /// How it is asked where nothing else is said.
    pub mode: &'static str,
    /// Wordings.
    pub presets: Vec<String>,
    /// Folder of the data, where it is a folder and was found.
    pub folder: Option<PathBuf>,
    /// Files that are not there, below that folder.
    pub missing: Vec<String>,
    /// Number of subjects; 0 while their list is missing.
    pub subjects: usize,
    /// The first prompts.
    pub samples: Vec<SamplePrompt>,
    /// Items among the first of every subject that cannot be scored, and why.
    pub skipped: Vec<Skipped>,
}

/// A prompt as the model will get it.
#[derive(Clone, Debug, Serialize)]
pub struct SamplePrompt {
    /// Subject.
    pub subject: String,
    /// Item.
    pub id: String,
    /// What the model is asked.
    pub prompt: String,
    /// What is scored after it.
    pub continuations: Vec<String>,
    /// What is right; empty where it is not known.
    pub gold: String,
}

/// Prompts that a check shows.
const SAMPLES: usize = 3;

/// Reads the definition `name` (a name, or the path of a file) and makes its first prompts. Data that is not there is
/// told, not refused.
///
/// # Errors
/// Those of [`eval::find`] and, where the data is there, of [`eval::plan`].
pub fn check(bench: &Workbench, name: &str, shots: usize, preset: Option<&str>) -> Result<Checked> {
    let benchmark = eval::find(name, bench.settings.data_dir.as_deref())?;
    let definition = &benchmark.definition;
    // Every wording, not only the one that is shown.
    for preset in definition.presets.keys() {
        eval::asking(definition, Some(preset), None)?;
    }
    let (_, asks) = eval::asking(definition, preset, None)?;
    let missing = if benchmark.is_present() { benchmark.missing_files()? } else { all_files(definition) };
    let mut checked = Checked {
        name: definition.name.clone(),
        mode: asks.mode().name(),
        presets: definition.presets.keys().cloned().collect(),
        folder: benchmark.folder().map(Path::to_owned),
        subjects: 0,
        missing,
        samples: Vec::new(),
        skipped: Vec::new(),
    };
    if checked.missing.is_empty() {
        let preset = preset.map(str::to_owned);
        let request = PlanRequest { shots, preset, limit: Some(SAMPLES), ..PlanRequest::default() };
        let plan = eval::plan(&benchmark, &request, None)?;
        checked.subjects = plan.subjects.len();
        let items = plan.subjects.iter().flat_map(|part| part.items.iter().map(|item| (&part.subject.handle, item)));
        checked.samples = items
            .take(SAMPLES)
            .map(|(subject, item)| SamplePrompt {
                subject: subject.clone(),
                id: item.id.clone(),
                prompt: item.prompt.text.clone(),
                continuations: item.prompt.continuations.clone(),
                gold: item.gold.map_or_else(|| item.expected.text(), |gold| plan.label(gold)),
            })
            .collect();
        checked.skipped = plan.skipped;
    }
    Ok(checked)
}

/// The files of a benchmark of which nothing is there.
fn all_files(definition: &Definition) -> Vec<String> {
    let files = definition.subjects.file.iter().chain(definition.files.values());
    files.map(|file| format!("{}/{file}", definition.folder)).collect()
}

/// What came of fetching a benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct PulledData {
    /// The benchmark's name.
    pub benchmark: String,
    /// Folder of its data.
    pub path: PathBuf,
    /// Files that came now.
    pub files: usize,
    /// Bytes that came now.
    pub bytes: u64,
    /// Files that were there already.
    pub present: usize,
}

/// Fetches the data of `name` into the data folder. Files that are there stay; `progress` hears each file's path and
/// the bytes that came so far. Nothing is kept of a file that did not come whole.
///
/// # Errors
/// `Unsupported` when the definition names no place, `Usage` without a data folder, `Network` with every place's
/// reason, `Interrupted`, `Corrupt` for an archive that is none, `NoSpace`, `Io`.
pub fn pull(
    bench: &Workbench,
    name: &str,
    sources: &Sources,
    progress: &mut dyn FnMut(&str, u64),
    cancel: &CancelToken,
) -> Result<PulledData> {
    let Some(data_dir) = bench.settings.data_dir.as_deref() else {
        return Err(Error::new(Kind::Usage, tr!("no data folder was named", "未指定数据目录")).hint(tr!(
            "name the folder that benchmarks go to: --data-dir DIR or LINLY_BENCH_DATA",
            "请指定基准数据的存放目录：--data-dir DIR 或 LINLY_BENCH_DATA"
        )));
    };
    let benchmark = eval::find(name, Some(data_dir))?;
    let definition = &benchmark.definition;
    if definition.download.is_empty() {
        return Err(nowhere(definition, &benchmark));
    }
    let target = data_dir.join(&definition.folder);
    std::fs::create_dir_all(&target).map_err(|e| Error::io(&target, &e))?;
    let staging =
        tempfile::Builder::new().prefix(".pull-").tempdir_in(data_dir).map_err(|e| Error::io(data_dir, &e))?;
    let mut pulled =
        PulledData { benchmark: definition.name.clone(), path: target.clone(), files: 0, bytes: 0, present: 0 };
    let mut fetch = || -> Result<()> {
        for source in &definition.download {
            for path in source.paths(definition) {
                let here = path.strip_prefix(&source.strip).unwrap_or(&path);
                let to = inside(&target, here)?;
                // An archive leaves a file of its name behind when all that was in it is there.
                let mark =
                    if source.archive { target.join(format!(".{}", here.replace('/', "-"))) } else { to.clone() };
                if mark.exists() {
                    pulled.present += 1;
                    continue;
                }
                let arrived = staging.path().join("file");
                let before = pulled.bytes;
                one(source, &path, &arrived, sources, &mut |n| progress(here, before + n), cancel)
                    .map_err(|e| failed(definition, e))?;
                pulled.bytes += arrived.metadata().map_or(0, |m| m.len());
                pulled.files += 1;
                if source.archive {
                    unpack(&arrived, &staging.path().join("out"), &target)?;
                    File::create(&mark).map_err(|e| Error::io(&mark, &e))?;
                    let _ = std::fs::remove_file(&arrived);
                } else {
                    keep(&arrived, &to)?;
                }
            }
        }
        Ok(())
    };
    let result = fetch();
    // Only what is empty goes: a first pull that failed leaves no folder behind.
    let _ = std::fs::remove_dir(&target);
    result.map(|()| pulled)
}

/// Fetches one file from the first place that gives it.
fn one(
    source: &Source,
    path: &str,
    to: &Path,
    sources: &Sources,
    progress: &mut dyn FnMut(u64),
    cancel: &CancelToken,
) -> Result<()> {
    let mut reasons = Vec::new();
    for place in &source.from {
        let (url, token) = address(place, path, sources);
        let allowed = match place.starts_with("hf:") {
            true => sources.allow(crate::model::Hub::HuggingFace),
            false => Ok(()),
        };
        let _ = std::fs::remove_file(to);
        match allowed.and_then(|()| sources.client.file(&url, token, to, &Expected::default(), progress, cancel)) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind == Kind::Network => reasons.push(error.message),
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(Kind::Network, reasons.join("\n  ")))
}

/// The address of `path` at a place, and the token for it.
fn address<'a>(place: &str, path: &str, sources: &'a Sources) -> (String, Option<&'a str>) {
    let path = encoded(path);
    if let Some(repo) = place.strip_prefix("hf:") {
        return (format!("{}/datasets/{repo}/resolve/main/{path}", sources.hf_endpoint), sources.hf_token.as_deref());
    }
    if let Some(repo) = place.strip_prefix("ms:") {
        let url = format!("{}/api/v1/datasets/{repo}/repo?Revision=master&FilePath={path}", sources.ms_endpoint);
        return (url, sources.ms_token.as_deref());
    }
    (format!("{}/{path}", place.trim_end_matches('/')), None)
}

/// A path with what an address may not hold as `%XX`.
fn encoded(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// `path` below `folder`; nothing above it and nothing absolute.
fn inside(folder: &Path, path: &str) -> Result<PathBuf> {
    let only_down = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !only_down {
        let path = path.escape_debug();
        return Err(Error::new(
            Kind::InvalidInput,
            tr!("`{path}` leads out of the data folder", "`{path}` 超出了数据目录"),
        )
        .hint(tr!("correct [[download]] of the definition", "请改正定义中的 [[download]]")));
    }
    Ok(folder.join(path))
}

/// Moves a whole file to its place.
fn keep(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
    }
    std::fs::rename(from, to).map_err(|e| Error::io(to, &e))
}

/// The largest that an archive may become: a benchmark is a few megabytes of text.
const LARGEST: u64 = 1 << 30;

/// Unpacks `archive` into `scratch` and moves what is in it below `target`.
fn unpack(archive: &Path, scratch: &Path, target: &Path) -> Result<()> {
    let corrupt = |what: String| {
        Error::new(Kind::Corrupt, tr!("the archive cannot be unpacked: {what}", "无法解压：{what}"))
            .hint(tr!("try again; the place may have given a page instead", "请重试；对方可能返回了网页"))
    };
    let file = File::open(archive).map_err(|e| Error::io(archive, &e))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|e| corrupt(e.to_string()))?;
    let mut arrived = Vec::new();
    let mut total = 0u64;
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| corrupt(e.to_string()))?;
        if !entry.is_file() {
            continue;
        }
        // `enclosed_name` refuses what would lead out of the folder.
        let name = entry
            .enclosed_name()
            .ok_or_else(|| corrupt(tr!("entry {i} leads out of its folder", "第 {i} 项超出了目录")))?;
        let to = scratch.join(&name);
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
        }
        let mut out = File::create(&to).map_err(|e| Error::io(&to, &e))?;
        let mut limited = std::io::Read::take(&mut entry, LARGEST.saturating_sub(total) + 1);
        total += std::io::copy(&mut limited, &mut out).map_err(|e| corrupt(e.to_string()))?;
        if total > LARGEST {
            return Err(corrupt(tr!("it is larger than {LARGEST} bytes", "解压后超过 {LARGEST} 字节")));
        }
        arrived.push((to, name));
    }
    arrived.iter().try_for_each(|(from, name)| keep(from, &target.join(name)))
}

fn nowhere(definition: &Definition, benchmark: &Benchmark) -> Error {
    let Definition { name, source, licence, folder, .. } = definition;
    if benchmark.is_present() && benchmark.folder().is_none() {
        return Error::new(Kind::InvalidInput, tr!("{name} needs no download", "{name} 无需下载"))
            .hint(format!("linly-bench run {name} --model MODEL"));
    }
    Error::new(Kind::Unsupported, tr!("{name} names no place to fetch its data from", "{name} 没有给出下载地址")).hint(
        tr!(
            "get it from {source} ({licence}) and put it into `{folder}` of the folder that --data-dir names",
            "请从 {source} 获取（{licence}），放入 --data-dir 所指目录下的 `{folder}`"
        ),
    )
}

fn failed(definition: &Definition, error: Error) -> Error {
    if error.kind != Kind::Network {
        return error;
    }
    let Definition { name, source, folder, .. } = definition;
    let reasons = &error.message;
    Error::new(Kind::Network, tr!("{name} could not be fetched:\n  {reasons}", "无法下载 {name}：\n  {reasons}")).hint(tr!(
        "check the network and the proxy variables (HF_ENDPOINT names a mirror of the hub); or get the data from {source} elsewhere, put it into a folder `{folder}`, and name the folder around it with --data-dir DIR",
        "请检查网络与代理变量（HF_ENDPOINT 可指定镜像站）；也可在别处从 {source} 取得数据，放入 `{folder}` 目录，并用 --data-dir DIR 指出其上级目录"
    ))
}
