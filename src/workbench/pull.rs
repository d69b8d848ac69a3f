//! Fetching a benchmark's data from the places that its definition names.

use super::Workbench;
use crate::error::{Error, Kind, Result};
use crate::eval::{self, Benchmark, Definition, Source};
use crate::job::CancelToken;
use crate::model::download::Expected;
use crate::model::hub::Sources;
use crate::tr;
use serde::Serialize;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Component, Path, PathBuf};

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
    /// Files that the definition names and that are still not there: the place packs the data otherwise now.
    pub missing: Vec<String>,
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
    let mut pulled = PulledData {
        benchmark: definition.name.clone(),
        path: target.clone(),
        files: 0,
        bytes: 0,
        present: 0,
        missing: Vec::new(),
    };
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
                    .map_err(|e| failed(definition, sources, &target, e))?;
                pulled.bytes += arrived.metadata().map_or(0, |m| m.len());
                pulled.files += 1;
                if source.archive {
                    unpack(source, &arrived, &staging.path().join("out"), &target)?;
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
    result?;
    pulled.missing = eval::find(name, Some(data_dir))?.missing_files()?;
    Ok(pulled)
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

/// Unpacks what `source` wants of `archive` (ZIP or tar) into `scratch` and moves it below `target`.
fn unpack(source: &Source, archive: &Path, scratch: &Path, target: &Path) -> Result<()> {
    let mut file = File::open(archive).map_err(|e| Error::io(archive, &e))?;
    let mut magic = [0u8; 2];
    let zip = file.read_exact(&mut magic).is_ok() && magic == *b"PK";
    file.rewind().map_err(|e| Error::io(archive, &e))?;
    let mut out = Unpacked { source, scratch, left: LARGEST, arrived: Vec::new() };
    if zip { from_zip(file, &mut out) } else { from_tar(file, &mut out) }?;
    if out.arrived.is_empty() {
        return Err(corrupt(&tr!("nothing in it is wanted", "其中没有所需文件")));
    }
    out.arrived.iter().try_for_each(|(from, name)| keep(from, &target.join(name)))
}

fn from_zip(file: File, out: &mut Unpacked<'_>) -> Result<()> {
    let mut zip = zip::ZipArchive::new(file).map_err(|e| corrupt(&e.to_string()))?;
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).map_err(|e| corrupt(&e.to_string()))?;
        if entry.is_file() {
            let name = entry.name().map_err(|e| corrupt(&e.to_string()))?.into_owned();
            out.take(&name, &mut entry)?;
        }
    }
    Ok(())
}

fn from_tar(file: File, out: &mut Unpacked<'_>) -> Result<()> {
    let mut tar = tar::Archive::new(std::io::BufReader::new(file));
    for entry in tar.entries().map_err(|e| corrupt(&e.to_string()))? {
        let mut entry = entry.map_err(|e| corrupt(&e.to_string()))?;
        // Links could lead anywhere, and no benchmark needs them.
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            out.take(&name, &mut entry)?;
        }
    }
    Ok(())
}

/// What came out of an archive so far.
struct Unpacked<'a> {
    source: &'a Source,
    scratch: &'a Path,
    /// Bytes that may still come.
    left: u64,
    /// Where each file lies now, and its path below the benchmark's folder.
    arrived: Vec<(PathBuf, PathBuf)>,
}

impl Unpacked<'_> {
    /// Takes the file `name` if it is wanted.
    fn take(&mut self, name: &str, content: &mut dyn Read) -> Result<()> {
        let Some(here) = self.source.wanted(name) else { return Ok(()) };
        let to = inside(self.scratch, here).map_err(|e| corrupt(&e.message))?;
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
        }
        let mut out = File::create(&to).map_err(|e| Error::io(&to, &e))?;
        let table = Path::new(here).extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        if let Some(header) = self.source.header.as_ref().filter(|_| table) {
            std::io::Write::write_all(&mut out, format!("{header}\n").as_bytes()).map_err(|e| Error::io(&to, &e))?;
        }
        let copied = std::io::copy(&mut content.take(self.left + 1), &mut out).map_err(|e| corrupt(&e.to_string()))?;
        self.left = self
            .left
            .checked_sub(copied)
            .ok_or_else(|| corrupt(&tr!("it is larger than {LARGEST} bytes", "解压后超过 {LARGEST} 字节")))?;
        self.arrived.push((to, PathBuf::from(here)));
        Ok(())
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(Kind::Corrupt, tr!("the archive cannot be unpacked: {what}", "无法解压：{what}"))
        .hint(tr!("try again; the place may have given a page instead", "请重试；对方可能返回了网页"))
}

fn nowhere(definition: &Definition, benchmark: &Benchmark) -> Error {
    let Definition { name, source, licence, folder, .. } = definition;
    if benchmark.is_present() && benchmark.folder().is_none() {
        return Error::new(Kind::InvalidInput, tr!("{name} needs no download", "{name} 无需下载"))
            .hint(format!("linly-bench run {name} --model MODEL"));
    }
    let files = layout(definition);
    Error::new(Kind::Unsupported, tr!("{name} names no place to fetch its data from", "{name} 没有给出下载地址")).hint(
        tr!(
            "get it from {source} ({licence}) and put it into `{folder}` of the folder that --data-dir names, as {files}",
            "请从 {source} 获取（{licence}），放入 --data-dir 所指目录下的 `{folder}`，文件为 {files}"
        ),
    )
}

/// The files that a benchmark consists of.
fn layout(definition: &Definition) -> String {
    let files = definition.subjects.file.iter().chain(definition.files.values());
    files.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What to do when no place could be reached: which addresses to fetch in another way, and where what they give belongs.
fn failed(definition: &Definition, sources: &Sources, target: &Path, error: Error) -> Error {
    if error.kind != Kind::Network {
        return error;
    }
    let Definition { name, source: home, .. } = definition;
    let reasons = &error.message;
    let mut by_hand = Vec::new();
    for source in &definition.download {
        let paths = source.paths(definition);
        let places = source.from.iter().filter_map(|place| Some(address(place, paths.first()?, sources).0));
        by_hand.push(places.collect::<Vec<_>>().join(&tr!(" or ", " 或 ")));
    }
    let (by_hand, files, target) = (by_hand.join("\n    "), layout(definition), target.display());
    Error::new(Kind::Network, tr!("{name} could not be fetched:\n  {reasons}", "无法下载 {name}：\n  {reasons}")).hint(tr!(
        "check the network and the proxy variables (HF_ENDPOINT names a mirror of the hub); or fetch it in another way ({home}):\n    {by_hand}\n  so that {target} holds {files} ({{subject}} stands for every subject), and name the folder around it with --data-dir DIR",
        "请检查网络与代理变量（HF_ENDPOINT 可指定镜像站）；也可另行下载（{home}）：\n    {by_hand}\n  使 {target} 中有 {files}（{{subject}} 代表每个科目），并用 --data-dir DIR 指出其上级目录"
    ))
}
