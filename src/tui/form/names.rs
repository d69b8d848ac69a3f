//! Whether what is typed into a form names something that is there.

use crate::text::{nearest, one_line};
use crate::tr;
use crate::tui::source::Choices;
use crate::tui::verbs::{Naming, VerbField};
use std::path::Path;

/// What is odd about the names in a field, with the name that may have been meant; none where all is well, or where it cannot
/// be told. What there is may change before the work begins: it is a doubt, not a refusal.
pub fn doubt(field: &VerbField, typed: &[String], choices: &Choices) -> Option<String> {
    let known = choices.of(field.naming);
    typed.iter().filter(|word| !is_known(field.naming, word, choices)).find_map(|word| {
        let shown = one_line(word);
        let name = match field.naming {
            Naming::Nothing | Naming::NewAdapter => return None,
            Naming::Model => tr!("no model `{shown}`", "没有模型 `{shown}`"),
            Naming::Adapter => tr!("no adapter `{shown}`", "没有适配器 `{shown}`"),
            Naming::Dataset | Naming::HeldOut => tr!("no dataset `{shown}`", "没有数据集 `{shown}`"),
            Naming::Benchmark => tr!("no benchmark `{shown}`", "没有评测集 `{shown}`"),
            Naming::Arena => tr!("no arena `{shown}`", "没有竞技场 `{shown}`"),
            Naming::Run => tr!("no run `{shown}`", "没有运行 `{shown}`"),
        };
        Some(match nearest(word, known.iter().map(String::as_str)) {
            Some(near) => {
                let near = one_line(near);
                tr!("{name}; the nearest is `{near}`", "{name}；最接近的是 `{near}`")
            }
            None => name,
        })
    })
}

/// What is worth knowing of a name that is to be made.
pub fn remark(field: &VerbField, typed: &str, choices: &Choices) -> Option<String> {
    let taken = field.naming == Naming::NewAdapter && choices.adapters.iter().any(|name| name == typed);
    taken.then(|| {
        let name = one_line(typed);
        tr!(
            "`{name}` is there already: the earlier adapter gets another name and stays",
            "`{name}` 已存在：原来的适配器会改名保留"
        )
    })
}

fn is_known(naming: Naming, word: &str, choices: &Choices) -> bool {
    let known = choices.of(naming);
    if known.iter().any(|name| name == word) {
        return true;
    }
    match naming {
        Naming::Nothing | Naming::NewAdapter | Naming::Arena => naming != Naming::Arena,
        // A run may be named by its beginning.
        Naming::Run => known.iter().any(|id| id.starts_with(word)),
        // A version or a tag may follow; several stand in one word.
        Naming::Dataset => word.split(',').all(|part| {
            let name = part.trim().split('@').next().unwrap_or_default();
            known.iter().any(|known| known == name)
        }),
        Naming::HeldOut => word.parse::<f64>().is_ok() || is_known(Naming::Dataset, word, choices),
        Naming::Adapter | Naming::Benchmark => Path::new(word).exists(),
        Naming::Model => {
            let elsewhere = word.contains("://") || word.starts_with("hf:") || word.starts_with("ms:");
            // In an arena an adapter may follow.
            let pair = word.split_once('+').is_some_and(|(model, adapter)| {
                is_known(Naming::Model, model, choices) && is_known(Naming::Adapter, adapter, choices)
            });
            elsewhere || pair || Path::new(word).exists()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices() -> Choices {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        Choices {
            models: names(&["smollm2-135m", "gemma3-270m"]),
            adapters: names(&["jubaopen"]),
            datasets: names(&["finance-zh", "alpaca"]),
            runs: names(&["train-20261124-112000-cccc"]),
            ..Choices::default()
        }
    }

    fn doubted(naming: Naming, word: &str) -> Option<String> {
        doubt(&VerbField { naming, ..VerbField::default() }, &[word.to_owned()], &choices())
    }

    #[test]
    fn names_that_are_not_there_are_told_with_the_nearest() {
        for (naming, word, meant) in [
            (Naming::Dataset, "finanec-zh", "finance-zh"),
            (Naming::Dataset, "alpaca,finance", "finance-zh"),
            (Naming::HeldOut, "alpacca", "alpaca"),
            (Naming::Model, "smollm2", "smollm2-135m"),
            (Naming::Adapter, "jubaopan", "jubaopen"),
        ] {
            let told = doubted(naming, word).unwrap_or_default();
            assert!(word.contains(',') || told.contains(meant), "{word}: {told}");
            assert!(!told.is_empty(), "{word}");
        }
        assert!(doubted(Naming::Arena, "web").is_some());
    }

    #[test]
    fn whatever_the_command_line_takes_is_not_doubted() {
        let here = env!("CARGO_MANIFEST_DIR");
        for (naming, word) in [
            (Naming::Dataset, "finance-zh@3"),
            (Naming::Dataset, "finance-zh,alpaca@best"),
            (Naming::HeldOut, "0.1"),
            (Naming::HeldOut, "alpaca"),
            (Naming::Model, here),
            (Naming::Model, "http://127.0.0.1:8000/v1#any"),
            (Naming::Model, "hf:org/repo"),
            (Naming::Model, "gemma3-270m+jubaopen"),
            (Naming::Run, "train-2026"),
            (Naming::NewAdapter, "anything"),
            (Naming::Nothing, "anything"),
        ] {
            assert_eq!(doubted(naming, word), None, "{word}");
        }
    }
}
