//! The texts beside exported rows: the dataset's card, lists of sets, and configurations of other trainers.

use super::WrittenFile;
use super::rows::Tally;
use crate::data::{Reject, RowFormat, RowShape};
use crate::store::DatasetRecord;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::path::Path;

/// What a card tells.
pub(super) struct Card<'c> {
    pub record: &'c DatasetRecord,
    pub rejects: &'c [Reject],
    pub tally: &'c Tally,
    pub left_out: u64,
    pub files: &'c [WrittenFile],
    pub folder: &'c Path,
}

/// Refused records that a card lists.
pub(super) const LISTED: usize = 20;

/// Text on one line, safe within Markdown and YAML's double quotes.
fn quoted(text: &str) -> String {
    Value::String(text.chars().filter(|c| !c.is_control()).collect()).to_string()
}

/// A dataset card: `README.md` with the YAML that Hugging Face reads. It is in English, as such cards are.
pub(super) fn card(card: &Card<'_>) -> String {
    let Card { record, rejects, tally, left_out, files, folder } = card;
    let (rows, Tally { train, val, zh }) = (tally.rows(), tally);
    let en = rows - zh;
    let mut text = String::from("---\n");
    let licence = if record.licence.is_empty() { "unknown".to_owned() } else { record.licence.to_lowercase() };
    let size = match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        _ => "n>1M",
    };
    let languages: Vec<&str> =
        [("zh", *zh), ("en", en)].iter().filter(|(_, n)| *n > 0).map(|(lang, _)| *lang).collect();
    let _ = writeln!(text, "pretty_name: {}\nlicense: {}", quoted(&record.name), quoted(&licence));
    let _ = writeln!(text, "language: [{}]\ntask_categories: [text-generation]", languages.join(", "));
    let _ = writeln!(text, "size_categories: [\"{size}\"]\nconfigs:\n- config_name: default\n  data_files:");
    for file in files.iter().filter(|file| file.rows > 0) {
        let name = file.path.strip_prefix(folder).unwrap_or(&file.path).to_string_lossy().replace('\\', "/");
        if name.ends_with(".arrow") {
            continue;
        }
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
        let split = if stem == "val" || stem.ends_with("_val") { "validation" } else { "train" };
        let _ = writeln!(text, "  - split: {split}\n    path: {}", quoted(&name));
    }
    let source = if record.source.is_empty() { "not recorded".to_owned() } else { quoted(&record.source) };
    let _ = writeln!(text, "---\n\n# {}\n", quoted(&record.name).trim_matches('"'));
    let _ = writeln!(
        text,
        "- Source: {source}\n- Licence: {}",
        if record.licence.is_empty() { "not recorded" } else { &licence }
    );
    let _ = writeln!(text, "- Version: `{}` (SHA-256 over the rows, their splits and languages)", record.version);
    let _ = writeln!(text, "- Imported: {}\n", record.created_at);
    let _ = writeln!(text, "| rows | train | validation | Chinese | English |\n| ---: | ---: | ---: | ---: | ---: |");
    let _ = writeln!(text, "| {rows} | {train} | {val} | {zh} | {en} |\n\n## Known problems\n");
    if *left_out > 0 {
        let _ = writeln!(text, "- {left_out} rows are too long for these files, or are plain text, and are left out.");
    }
    if record.rejected == 0 && *left_out == 0 {
        text.push_str("None recorded: no record was refused at import.\n");
    }
    if record.rejected > 0 {
        let _ = writeln!(text, "- {} records were refused at import:", record.rejected);
    }
    for reject in rejects.iter().take(LISTED) {
        // The path of a file is nobody's business but the importer's.
        let file = Path::new(&reject.file).file_name().unwrap_or_default().to_string_lossy();
        let place = quoted(&format!("{file}:{}: {}", reject.line, reject.reason));
        let _ = writeln!(text, "  - {}", place.trim_matches('"').replace('`', "'"));
    }
    if let Some(more @ 1..) = record.rejected.checked_sub(LISTED as u64) {
        let _ = writeln!(text, "  - and {more} more");
    }
    text
}

/// A set of LLaMA-Factory's list.
pub(super) struct ListedSet {
    pub name: String,
    pub format: RowFormat,
    pub shape: RowShape,
}

/// `dataset_info.json` for the sets. A column is listed when a row has it: LLaMA-Factory refuses a file without a listed one.
pub(super) fn list_of_sets(sets: &[ListedSet]) -> String {
    let mut list = Map::new();
    for ListedSet { name, format, shape } in sets {
        let mut entry = json!({"file_name": format!("{name}.json")});
        let mut columns = Map::new();
        let mut column = |key: &str, name: &str| _ = columns.insert(key.to_owned(), json!(name));
        if shape.text {
            column("prompt", "text");
        } else {
            if *format == RowFormat::ShareGpt {
                entry["formatting"] = json!("sharegpt");
                column("messages", "conversations");
            } else {
                column("prompt", "instruction");
                column("query", "input");
                column("response", "output");
                if shape.history {
                    column("history", "history");
                }
            }
            if shape.system {
                column("system", "system");
            }
            if shape.tools {
                column("tools", "tools");
            }
        }
        entry["columns"] = Value::Object(columns);
        list.insert(name.clone(), entry);
    }
    format!("{:#}\n", Value::Object(list))
}

/// What token files were made for.
pub(super) struct Tuned<'t> {
    pub model: &'t str,
    pub max_len: usize,
}

/// A configuration for `llamafactory-cli train`, to be run in the folder.
pub(super) fn llama_factory_config(name: &str, val: bool, tokens: Option<&Tuned<'_>>) -> String {
    let mut text = String::from("# llamafactory-cli train llama-factory.yaml   (in this folder)\n");
    let model = tokens.map_or("MODEL", |t| t.model);
    let _ = writeln!(text, "model_name_or_path: {}\nstage: sft\ndo_train: true", quoted(model));
    text.push_str("finetuning_type: lora\nlora_rank: 8\nlora_target: all\n");
    match tokens {
        // With tokens on disk, template and datasets are not used; the program still asks for them.
        Some(tuned) => {
            text.push_str("tokenized_path: llama-factory\n# asked for, but not read where there are tokens\n");
            let _ = writeln!(text, "dataset: {}\ntemplate: default\ncutoff_len: {}", quoted(name), tuned.max_len);
            if val {
                let _ = writeln!(text, "eval_dataset: {}", quoted(name));
            }
        }
        None => {
            let _ = writeln!(text, "dataset_dir: .\ndataset: {}", quoted(&format!("{name}_train")));
            if val {
                let _ = writeln!(text, "eval_dataset: {}", quoted(&format!("{name}_val")));
            }
            text.push_str("template: default  # the template of your model\ncutoff_len: 2048\n");
        }
    }
    if val {
        text.push_str("eval_strategy: epoch\n");
    }
    text.push_str("output_dir: output\nper_device_train_batch_size: 1\ngradient_accumulation_steps: 8\n");
    text.push_str("learning_rate: 2.0e-4\nnum_train_epochs: 3\nlr_scheduler_type: cosine\nwarmup_ratio: 0.1\n");
    text
}

/// A configuration for `axolotl train`, to be run in the folder.
pub(super) fn axolotl_config(val: bool, tokens: Option<&Tuned<'_>>) -> String {
    let mut text = String::from("# axolotl train axolotl.yaml   (in this folder)\n");
    let _ = writeln!(text, "base_model: {}\ndatasets:", quoted(tokens.map_or("MODEL", |t| t.model)));
    let set = |split: &str| match tokens {
        // Without a type the columns are taken as they are.
        Some(_) => format!("  - path: {split}.parquet\n    ds_type: parquet\n    split: train\n    type:\n"),
        None => format!(
            "  - path: {split}.jsonl\n    ds_type: json\n    type: chat_template\n    field_messages: messages\n    \
             roles_to_train: [assistant]\n    train_on_eos: turn\n"
        ),
    };
    text.push_str(&set("train"));
    if val {
        text.push_str("test_datasets:\n");
        text.push_str(&set("val"));
    }
    let _ = writeln!(text, "sequence_len: {}", tokens.map_or(2048, |t| t.max_len));
    text.push_str("adapter: lora\nlora_r: 8\nlora_alpha: 16\nlora_target_linear: true\noutput_dir: output\n");
    text.push_str("micro_batch_size: 1\ngradient_accumulation_steps: 8\nlearning_rate: 2.0e-4\nnum_epochs: 3\n");
    text.push_str("optimizer: adamw_torch\nlr_scheduler: cosine\nwarmup_ratio: 0.1\n");
    text
}

/// A configuration for `trl sft`, to be run in the folder.
pub(super) fn trl_config(val: bool, tuned: &Tuned<'_>) -> String {
    let mut text = String::from("# trl sft --config trl.yaml   (in this folder)\n");
    let _ = writeln!(text, "model_name_or_path: {}\ndatasets:\n  - path: parquet", quoted(tuned.model));
    text.push_str("    data_files: train.parquet\n    split: train\n");
    if val {
        text.push_str("# val.parquet holds the rows that were held out\n");
    }
    let _ = writeln!(text, "max_length: {}\npacking: false", tuned.max_len);
    text.push_str("use_peft: true\nlora_r: 8\nlora_alpha: 16\nlora_target_modules: all-linear\noutput_dir: output\n");
    text.push_str(
        "per_device_train_batch_size: 1\ngradient_accumulation_steps: 8\nlearning_rate: 2.0e-4\nnum_train_epochs: 3\n",
    );
    text
}
