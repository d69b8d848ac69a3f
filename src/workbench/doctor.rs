//! What this machine and home have, what is missing, and what to do about it.

use super::Workbench;
use crate::config::Settings;
use crate::error::Kind;
use crate::machine::{free_bytes, free_memory};
use crate::ops::cuda::{self, Card};
use crate::tr;
use serde::Serialize;
use std::path::Path;

/// How it stands with a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Something that one may want is not there.
    Missing,
    /// Something is broken.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What: `processor`, `memory`, `gpu`, `compiler`, `models`, `database`, `disk`, `data`.
    pub subject: &'static str,
    /// How it stands with it.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Examination {
    /// Whether nothing is broken.
    pub ok: bool,
    /// Processor cores that this process may use.
    pub cores: usize,
    /// Instruction sets of the processor that matter here.
    pub cpu_features: Vec<&'static str>,
    /// GPUs that the driver lists.
    pub gpus: Vec<Card>,
    /// The home.
    pub home: String,
    /// Folders of downloaded models.
    pub models: Vec<String>,
    /// Bytes free on the home's disk.
    pub disk_free: Option<u64>,
    /// Benchmarks found in the data folder.
    pub benchmarks: Vec<String>,
    /// What was looked at, in order.
    pub findings: Vec<Finding>,
}

/// Free space below which a download or a checkpoint is likely to fail.
const LITTLE_SPACE: u64 = 2 << 30;

/// Memory below which the smallest catalogue model does not train.
const LITTLE_MEMORY: u64 = 1 << 30;

/// Looks at everything; creates nothing.
pub fn examine(settings: &Settings) -> Examination {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu_features = cpu_features();
    let mut findings = vec![processor(cores, &cpu_features), memory()];
    let (gpus, gpu) = gpus();
    findings.push(gpu);
    if !gpus.is_empty() {
        findings.push(compiler());
    }
    let models = folders(&settings.models());
    findings.push(Finding {
        subject: "models",
        state: if models.is_empty() { State::Missing } else { State::Ok },
        found: if models.is_empty() { tr!("none downloaded", "尚未下载") } else { models.join(", ") },
        advice: models
            .is_empty()
            .then(|| tr!("linly-bench models pull smollm2-135m", "linly-bench models pull smollm2-135m")),
    });
    findings.push(database(settings));
    let disk_free = free_bytes(nearest(&settings.home));
    findings.push(disk(disk_free));
    let benchmarks = settings.data_dir.as_deref().map(folders).unwrap_or_default();
    findings.push(data(settings.data_dir.as_deref(), &benchmarks));
    Examination {
        ok: findings.iter().all(|f| f.state != State::Problem),
        cores,
        cpu_features,
        gpus,
        home: settings.home.display().to_string(),
        models,
        disk_free,
        benchmarks,
        findings,
    }
}

fn cpu_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        for (name, present) in [
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
        ] {
            if present {
                features.push(name);
            }
        }
    }
    if cfg!(target_arch = "aarch64") {
        features.push("neon");
    }
    features
}

fn processor(cores: usize, features: &[&str]) -> Finding {
    let list = features.join(", ");
    // Without the wide vectors everything works, at a fraction of the speed.
    let slow = cfg!(target_arch = "x86_64") && !features.contains(&"avx2");
    Finding {
        subject: "processor",
        state: if slow { State::Missing } else { State::Ok },
        found: tr!("{cores} cores; {list}", "{cores} 个核心；{list}"),
        advice: if slow {
            Some(tr!("no AVX2: training will be very slow here", "没有 AVX2：训练会非常慢"))
        } else if !features.contains(&"avx512bf16") {
            Some(tr!("no AVX-512 BF16: --dtype auto trains in f32", "没有 AVX-512 BF16：--dtype auto 将以 f32 训练"))
        } else {
            None
        },
    }
}

fn memory() -> Finding {
    let free = free_memory();
    let little = free.is_some_and(|bytes| bytes < LITTLE_MEMORY);
    Finding {
        subject: "memory",
        state: if little { State::Problem } else { State::Ok },
        found: free.map_or_else(
            || tr!("the system does not tell", "系统未提供"),
            |bytes| {
                let size = gib(bytes);
                tr!("{size} available", "可用 {size}")
            },
        ),
        advice: little.then(|| {
            tr!(
                "end other programs, or train with --quantize int4 --checkpointing on",
                "请结束其他程序，或使用 --quantize int4 --checkpointing on 训练"
            )
        }),
    }
}

fn gpus() -> (Vec<Card>, Finding) {
    let finding = |state, found: String, advice| Finding { subject: "gpu", state, found, advice };
    match cuda::cards() {
        Err(error) => {
            let state =
                if error.kind == Kind::Unsupported && cfg!(feature = "cuda") { State::Problem } else { State::Missing };
            (Vec::new(), finding(state, error.message, error.hint))
        }
        Ok(cards) if cards.is_empty() => (
            cards,
            finding(
                State::Missing,
                tr!("the driver lists none", "驱动没有列出任何 GPU"),
                Some(tr!("in a container pass the GPU in (--gpus all)", "在容器中请传入 GPU（--gpus all）")),
            ),
        ),
        Ok(cards) => {
            let names: Vec<String> = cards
                .iter()
                .map(|card| {
                    let Card { ordinal, name, capability, memory, driver } = card;
                    let memory = gib(*memory);
                    format!(
                        "cuda:{ordinal} {name}, {memory}, sm_{capability}, CUDA {}.{}",
                        driver / 1000,
                        driver % 1000 / 10
                    )
                })
                .collect();
            let unfit = cards.iter().find_map(|card| card.check().err());
            let state = if unfit.is_some() { State::Problem } else { State::Ok };
            (
                cards,
                finding(
                    state,
                    names.join("; "),
                    unfit.map(|e| format!("{}: {}", e.message, e.hint.unwrap_or_default())),
                ),
            )
        }
    }
}

fn compiler() -> Finding {
    match cuda::Compiler::find() {
        Ok(compiler) => {
            let (major, minor) = compiler.version();
            Finding { subject: "compiler", state: State::Ok, found: format!("NVRTC {major}.{minor}"), advice: None }
        }
        Err(error) => Finding { subject: "compiler", state: State::Missing, found: error.message, advice: error.hint },
    }
}

fn database(settings: &Settings) -> Finding {
    let finding = |state, found: String, advice| Finding { subject: "database", state, found, advice };
    if !settings.home.join("linly.db").exists() {
        let place = settings.home.display();
        return finding(
            State::Missing,
            tr!("none yet in {place}", "{place} 中尚无数据库"),
            Some(tr!(
                "the first command that needs it creates it: linly-bench demo",
                "首个需要它的命令会创建：linly-bench demo"
            )),
        );
    }
    match Workbench::open(settings.clone()) {
        Ok(bench) => finding(State::Ok, bench.store.path().display().to_string(), None),
        Err(error) => finding(State::Problem, error.message, error.hint),
    }
}

fn disk(free: Option<u64>) -> Finding {
    let little = free.is_some_and(|bytes| bytes < LITTLE_SPACE);
    Finding {
        subject: "disk",
        state: if little { State::Problem } else { State::Ok },
        found: free.map_or_else(
            || tr!("the system does not tell", "系统未提供"),
            |bytes| {
                let size = gib(bytes);
                tr!("{size} free", "剩余 {size}")
            },
        ),
        advice: little.then(|| {
            tr!("free some space, or name another disk with --home DIR", "请清理磁盘，或用 --home DIR 换一块盘")
        }),
    }
}

fn data(folder: Option<&Path>, benchmarks: &[String]) -> Finding {
    let finding = |state, found: String, advice| Finding { subject: "data", state, found, advice };
    let advice = || {
        Some(tr!(
            "name the folder of downloaded benchmarks with --data-dir DIR or LINLY_BENCH_DATA; finance-qa is built in",
            "请用 --data-dir DIR 或 LINLY_BENCH_DATA 指定基准数据目录；finance-qa 已内置"
        ))
    };
    match folder {
        None => finding(State::Missing, tr!("no folder named", "未指定目录"), advice()),
        Some(folder) if benchmarks.is_empty() => {
            let place = folder.display();
            finding(State::Problem, tr!("nothing in {place}", "{place} 中没有内容"), advice())
        }
        Some(_) => finding(State::Ok, benchmarks.join(", "), None),
    }
}

/// Names of the folders in `path`, sorted; none where it cannot be read.
fn folders(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// The path itself or the nearest folder above it that exists.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|p| p.exists()).unwrap_or(path)
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
}
