//! Task files of lm-evaluation-harness as definitions: the same prompts, and nothing lost in silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use linly_bench::error::Kind;
use linly_bench::eval::{Definition, Imported, PlanRequest, PlannedItem, find, import_task, plan};
use std::path::Path;

fn imported(folder: &Path, yaml: &str) -> Imported {
    let path = folder.join("task.yaml");
    std::fs::write(&path, yaml).unwrap();
    import_task(&path).unwrap()
}

fn prompts(folder: &Path, imported: &Imported, shots: usize) -> Vec<(String, Vec<String>, String)> {
    let path = folder.join("own.toml");
    std::fs::write(&path, &imported.definition).unwrap();
    let benchmark = find(&path.to_string_lossy(), None).unwrap();
    let plan = plan(&benchmark, &PlanRequest { shots, ..PlanRequest::default() }, None).unwrap();
    let item = |i: &PlannedItem| {
        let gold = i.gold.map_or_else(|| i.expected.text(), |gold| gold.to_string());
        (i.prompt.text.clone(), i.prompt.continuations.clone(), gold)
    };
    plan.subjects[0].items.iter().map(item).collect()
}

#[test]
fn a_choice_task_asks_what_the_harness_asks() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "{\"q\": \"Sky?\", \"choices\": {\"text\": [\"red\", \"blue\"], \"label\": [\"1\", \"2\"]}, \"key\": \"2\"}\n\
                {\"q\": \"Sun?\", \"choices\": {\"text\": [\"hot\", \"cold\"], \"label\": [\"1\", \"2\"]}, \"key\": \"1\"}\n";
    std::fs::write(dir.path().join("t.jsonl"), rows).unwrap();
    let yaml = "task: own\ntag: [x]\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: t.jsonl\n\
                output_type: multiple_choice\ntest_split: test\nfewshot_config:\n  sampler: first_n\n\
                doc_to_text: \"Q: {{q}}\\nA:\"\ndoc_to_choice: \"{{choices.text}}\"\n\
                doc_to_target: \"{{choices.label.index(key)}}\"\nmetric_list:\n  - metric: acc\n\
                process_docs: !function utils.process\nmetadata:\n  version: 1.0\n";
    let imported = imported(dir.path(), yaml);
    assert_eq!(imported.not_carried.len(), 1, "{:?}", imported.not_carried);
    assert!(imported.not_carried[0].starts_with("process_docs: "));
    assert!(imported.definition.contains("# Not carried over: process_docs"));
    let all = prompts(dir.path(), &imported, 1);
    assert_eq!(all[0], ("Q: Sun?\nA: hot\n\nQ: Sky?\nA:".into(), vec![" red".into(), " blue".into()], "1".into()));
    assert_eq!(all[1].2, "0");
}

#[test]
fn a_written_task_keeps_its_filters_and_says_what_it_lost() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("base.yaml"), "output_type: generate_until\nnum_fewshot: 2\ndoc_to_text: q\n")
        .unwrap();
    let yaml = "include: base.yaml\ntask: sums\ndataset_path: org/sums\ndataset_name: main\ntest_split: test\n\
                doc_to_target: \"{{a}}\"\ngeneration_kwargs:\n  until: \"Q:\"\n  top_p: 0.9\n  do_sample: false\n\
                repeats: 8\nfilter_list:\n  - name: strict\n    filter:\n      - function: regex\n\
                \x20       regex_pattern: \"#### (\\\\-?[0-9]+)\"\n      - function: take_first\n\
                \x20 - name: maj\n    filter:\n      - function: majority_vote\n\
                metric_list:\n  - metric: exact_match\n    ignore_case: true\n  - metric: bleu\n";
    let imported = imported(dir.path(), yaml);
    for lost in [
        "dataset_path",
        "dataset_name",
        "generation_kwargs.top_p",
        "repeats",
        "filter_list `maj`",
        "metric_list `bleu`",
    ] {
        assert!(imported.not_carried.iter().any(|f| f.starts_with(lost)), "{lost}: {:?}", imported.not_carried);
    }
    assert_eq!(imported.not_carried.len(), 6, "{:?}", imported.not_carried);
    std::fs::write(dir.path().join("test.jsonl"), "{\"q\": \"1+1\", \"a\": 2}\n").unwrap();
    assert_eq!(prompts(dir.path(), &imported, 0), [("1+1".into(), vec![], "2".into())]);
    let definition = Definition::parse(&imported.definition, "x").unwrap();
    assert_eq!((definition.num_fewshot, definition.filter_list.len()), (2, 1));
    assert_eq!(definition.generation_kwargs.until.as_deref(), Some(["Q:".to_owned()].as_slice()));
}

#[test]
fn what_is_no_task_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.yaml");
    for (yaml, kind) in [
        ("- a\n- b\n", Kind::InvalidInput),
        ("a: [", Kind::InvalidInput),
        ("include: t.yaml\n", Kind::InvalidInput),
        ("include: gone.yaml\n", Kind::NotFound),
        ("task: x\noutput_type: loglikelihood\ndoc_to_text: q\n", Kind::Unsupported),
        ("task: x\noutput_type: generate_until\ndoc_to_text: !function utils.text\n", Kind::Unsupported),
    ] {
        std::fs::write(&path, yaml).unwrap();
        let error = import_task(&path).unwrap_err();
        assert_eq!(error.kind, kind, "{yaml}: {error}");
    }
}
