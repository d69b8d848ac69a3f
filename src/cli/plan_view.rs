//! The table of `train --plan`.

use super::Context;
use super::columns::{Align, columns};
use crate::text::one_line;
use crate::tr;
use crate::workbench::memory_plan::{PlanReport, Way};

/// Bytes in GiB with one digit.
fn gib(bytes: f64) -> String {
    format!("{:.1}", bytes / f64::from(1 << 30))
}

fn cell(way: Option<&Way>) -> String {
    let Some(way) = way else { return "–".to_owned() };
    let size = gib(way.bytes as f64);
    match (way.fits, way.checkpointing) {
        (false, _) => tr!("no: {size}", "否：{size}"),
        (true, true) => format!("{size} *"),
        (true, false) => size,
    }
}

/// Prints the table and what it means.
pub(super) fn print_plan(context: &Context, report: &PlanReport) {
    let ui = &context.ui;
    let (model, trained) = (one_line(&report.model), report.trainable_parameters);
    let billions = report.parameters as f64 / 1e9;
    let (longest, batch) = (report.max_len, report.batch_size);
    ui.line(&tr!(
        "{model}: {billions:.2} billion weights, {trained} trained values; sequences of {longest} tokens, {batch} in a micro-batch",
        "{model}：{billions:.2}B 权重，{trained} 个可训练值；序列长 {longest} 个词元，每个微批次 {batch} 条"
    ));
    ui.line("");
    let dtype = report.places.first().and_then(|p| p.ways.first()).map_or("f32", |way| way.dtype);
    let header = [
        (tr!("where", "位置"), Align::Left),
        (tr!("free GiB", "可用 GiB"), Align::Right),
        (tr!("LoRA, full", "LoRA，full"), Align::Right),
        ("int8".to_owned(), Align::Right),
        (tr!("int4 (QLoRA)", "int4（QLoRA）"), Align::Right),
    ];
    let rows: Vec<Vec<String>> = report
        .places
        .iter()
        .map(|place| {
            let name = if place.name == "cpu" {
                tr!("this machine, {dtype}", "本机，{dtype}")
            } else {
                let name = one_line(&place.name);
                tr!("GPU {name}, bf16", "GPU {name}，bf16")
            };
            let mut row = vec![name, place.free.map_or("?".to_owned(), |free| gib(free as f64))];
            row.extend((0..3).map(|i| cell(place.ways.get(i))));
            row
        })
        .collect();
    for line in columns(&header, &rows, 100) {
        ui.line(&line);
    }
    ui.line("");
    ui.line(&tr!(
        "GiB in all. *: with checkpointing, which --checkpointing auto chooses then. no: what the smallest plan would take.",
        "单位 GiB，为总量。*：需重新计算（--checkpointing auto 会自动选用）。否：最省的方案所需。"
    ));
    if let Some(reason) = report.places.iter().find_map(|p| p.unsupported.as_deref()) {
        ui.line(&tr!("Not on a GPU: {reason}.", "GPU 不可用：{reason}。"));
    } else {
        ui.line(&tr!(
            "The figures for GPUs are counted, not measured: nothing has run on one yet (docs/gpu.md).",
            "GPU 的数字为计算所得，未经实测：尚未在 GPU 上运行过（docs/gpu.md）。"
        ));
    }
}
