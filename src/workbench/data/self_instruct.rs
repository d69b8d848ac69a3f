//! How a model is asked for a new instruction, and what of its reply is one: after Self-Instruct (Wang et al. 2022,
//! section 2.2), with a request in words, because the models here are trained to follow one.

use crate::data::Example;

/// Characters of an example that are shown.
const SHOWN: usize = 300;
/// Fewest characters of an instruction.
const SHORTEST: usize = 4;
/// Most characters of an instruction.
const LONGEST: usize = 1000;

/// The request for one more instruction like those of `seeds`. `topic` may be empty.
pub(super) fn request(seeds: &[&Example], topic: &str, zh: bool) -> String {
    let mut text = match zh {
        true => "下面是一些任务：\n\n".to_owned(),
        false => "Here are some tasks:\n\n".to_owned(),
    };
    for (number, seed) in seeds.iter().enumerate() {
        text += &format!("{}. {}\n", number + 1, shown(seed));
    }
    let about = topic.trim();
    text += &match (zh, about) {
        (true, "") => "\n请再写一个新任务，类型相近，但内容与上面的都不同。".to_owned(),
        (true, about) => format!("\n请再写一个关于“{about}”的新任务，内容与上面的都不同。"),
        (false, "") => {
            "\nWrite one new task of the same kind that asks something different from all of them.".to_owned()
        }
        (false, about) => {
            format!("\nWrite one new task about {about} that asks something different from all of them.")
        }
    };
    text += match zh {
        true => "只写任务本身，写成一句话，不要回答。",
        false => " Write only the task, in one line, and do not answer it.",
    };
    text
}

/// An example in one line.
fn shown(seed: &Example) -> String {
    let whole = format!("{} {}", seed.instruction, seed.input);
    let line = whole.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(SHOWN).collect()
}

/// The instruction in a model's reply: its first line that is one, without number, label and quotation marks. `None`
/// when there is none.
pub(super) fn instruction(reply: &str) -> Option<String> {
    let lines = reply.lines().map(str::trim).filter(|line| !line.is_empty());
    // "Here is a new task:" announces one.
    let line = lines.map(bare).find(|line| !line.is_empty() && !line.ends_with([':', '：']))?;
    let length = line.chars().count();
    // A character that was cut in its middle is no text.
    ((SHORTEST..=LONGEST).contains(&length) && !line.contains('\u{fffd}')).then(|| line.to_owned())
}

/// A line without what models put around a task.
fn bare(line: &str) -> &str {
    const LABELS: [&str; 11] =
        ["new task", "q", "task", "instruction", "question", "新任务", "任务", "指令", "问题", "題目", "题目"];
    let mut line = line.trim_matches(['*', '#', '-', '•', ' ']);
    loop {
        let before = line;
        line = line.trim_start_matches(['*', ' ']);
        let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
        if digits.len() < line.len()
            && let Some(rest) = digits.strip_prefix(['.', ')', '、', '．', ':', '：'])
            // 3.5 % is no number of a list.
            && !rest.starts_with(|c: char| c.is_ascii_digit())
        {
            line = rest.trim_start();
        }
        for label in LABELS {
            if let Some(head) = line.get(..label.len())
                && head.eq_ignore_ascii_case(label)
            {
                let rest = line[label.len()..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ' || c == '*');
                if let Some(rest) = rest.strip_prefix([':', '：']) {
                    line = rest.trim_start_matches(['*', ' ']);
                }
            }
        }
        if line == before {
            break;
        }
    }
    for (open, close) in [('"', '"'), ('“', '”'), ('「', '」'), ('\'', '\'')] {
        // Only a pair around the whole line: a quotation inside it stays.
        if let Some(inner) = line.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
            && !inner.contains([open, close])
        {
            return inner.trim();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_is_found_in_what_models_write_around_it() {
        for (reply, wanted) in [
            ("什么是久期？", "什么是久期？"),
            ("4. 解释久期的含义。\n5. 什么是凸性？", "解释久期的含义。"),
            ("Here is a new task:\n\n**Task 4:** \"What is a bond?\"", "What is a bond?"),
            ("Q: Is it?", "Is it?"),
            ("任务：解释“久期”的含义", "解释“久期”的含义"),
            ("5. **Task:** “久期是什么？”", "久期是什么？"),
            ("New task: Explain 3.5 % interest.\nAnswer: it is", "Explain 3.5 % interest."),
            ("1) Instruction: Name a risk of \"junk\" bonds.", "Name a risk of \"junk\" bonds."),
            ("3.5 percent of 200 is what?", "3.5 percent of 200 is what?"),
            ("Tasks differ. Which one is hard?", "Tasks differ. Which one is hard?"),
        ] {
            assert_eq!(instruction(reply).as_deref(), Some(wanted), "{reply}");
        }
        for reply in ["", "\n \n", "Here is a new task:", "5.", "ok", "什么是久\u{fffd}", &"x".repeat(LONGEST + 1)]
        {
            assert_eq!(instruction(reply), None, "{reply}");
        }
    }

    #[test]
    fn a_request_shows_the_seeds_in_a_line_each() {
        let seed = Example { instruction: "What\nis".into(), input: "this?".into(), ..Example::default() };
        let text = request(&[&seed, &seed], "bonds", false);
        assert!(text.contains("1. What is this?\n2. What is this?\n") && text.contains("about bonds"), "{text}");
        assert!(request(&[&seed], "", true).contains("1. What is this?"));
        let long = Example { instruction: "长".repeat(5000), ..Example::default() };
        assert!(request(&[&long], "", true).chars().count() < 500);
    }
}
