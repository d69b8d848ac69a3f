//! Models and adapters from the workbench.

use crate::error::Result;
use crate::machine::free_memory;
use crate::tr;
use crate::tui::figures::{bytes, count};
use crate::tui::source::{ModelFacts, ModelKind, ModelLine, ModelsAnswer, ModelsQuery};
use crate::workbench::Workbench;
use crate::workbench::inventory::{ListedAdapter, adapters, merged_folder};
use crate::workbench::models::{self, ListedModel, ModelInfo};

pub(super) fn answer(bench: &Workbench, query: &ModelsQuery) -> Result<ModelsAnswer> {
    match query {
        ModelsQuery::List => list(bench).map(ModelsAnswer::List),
        ModelsQuery::Facts(name) => models::info(bench, name).map(|info| ModelsAnswer::Facts(facts(&info))),
    }
}

fn list(bench: &Workbench) -> Result<Vec<ModelLine>> {
    let model = |m: ListedModel| ModelLine {
        kind: if m.pulled { ModelKind::Here } else { ModelKind::Catalogue },
        name: m.name,
        title: m.title,
        bytes: m.bytes,
        licence: m.license.unwrap_or_default(),
        path: m.path.map_or_else(String::new, |path| path.display().to_string()),
        ..ModelLine::default()
    };
    let adapter = |a: ListedAdapter| ModelLine {
        kind: ModelKind::Adapter,
        bytes: a.bytes,
        rank: a.rank,
        merged: merged_folder(bench, &a.record.name).display().to_string(),
        data: match (a.record.dataset.as_str(), a.record.dataset_version.get(..12)) {
            (name, Some(version)) if !name.is_empty() && !name.contains(',') => format!("{name}@{version}"),
            (name, _) => name.to_owned(),
        },
        path: a.record.dir,
        base: a.record.base,
        template: a.record.template,
        run: a.record.run_id,
        created: a.record.created_at,
        name: a.record.name,
        ..ModelLine::default()
    };
    let (here, others): (Vec<ModelLine>, Vec<ModelLine>) =
        models::list(bench).into_iter().map(model).partition(|m| m.kind == ModelKind::Here);
    Ok(here.into_iter().chain(adapters(bench)?.into_iter().map(adapter)).chain(others).collect())
}

fn facts(info: &ModelInfo) -> ModelFacts {
    let storage: Vec<String> = info.storage.iter().map(|(name, n)| format!("{name} {}", count(*n))).collect();
    let yes_no = if info.chat_template { tr!("yes", "有") } else { tr!("no", "无") };
    let (wide, inner, heads, kv) = (info.hidden_size, info.intermediate_size, info.num_heads, info.num_kv_heads);
    let layers = info.num_layers;
    let mut facts = vec![
        (tr!("architecture", "架构"), format!("{} ({})", info.architecture, info.format)),
        (tr!("parameters", "参数量"), count(info.parameters)),
        (tr!("quantisation", "量化"), format!("{} ({})", info.quantization, storage.join(", "))),
        (tr!("size on disk", "占用磁盘"), bytes(info.file_bytes)),
        (tr!("context", "上下文"), tr!("{} tokens", "{} 个词元", count(info.context_length as u64))),
        (tr!("vocabulary", "词表"), count(info.vocab_size as u64)),
        (
            tr!("layers", "层"),
            tr!(
                "{layers} of width {wide} / {inner}, {heads} heads, {kv} for keys and values",
                "{layers} 层，宽 {wide} / {inner}，{heads} 个注意力头，键值头 {kv} 个"
            ),
        ),
        (tr!("chat template", "对话模板"), yes_no),
        (tr!("end token", "结束符"), info.eos_token.clone()),
    ];
    facts.extend(info.license.iter().map(|licence| (tr!("licence", "许可证"), licence.clone())));
    facts.push((tr!("path", "路径"), info.path.display().to_string()));
    ModelFacts {
        facts,
        infer: info.memory_infer_bytes,
        train: info.memory_train_bytes,
        free: free_memory(),
        tokens: ModelInfo::MEMORY_TOKENS,
    }
}
