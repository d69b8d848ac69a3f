//! One benchmark item in full: the prompt as it was sent, the choices with their probabilities, what was written, and
//! the same from another run.

use crate::eval::{argmax, softmax};
use crate::text;
use crate::tr;
use crate::tui::figures::percent;
use crate::tui::source::OutcomeView;
use crate::tui::theme::Role;
use crate::tui::widgets::{Block, Pager, Paint};
use ratatui::layout::Rect;

/// Draws `item`, with what the other run made of it.
pub fn draw_item(p: &mut Paint<'_>, area: Rect, pager: &Pager, item: &OutcomeView, beside: Option<&OutcomeView>) {
    let (word, role) = verdict(item);
    let answer = |o: &OutcomeView| if o.pred.is_empty() { tr!("nothing", "无") } else { o.pred.clone() };
    let mut words = tr!("{word}: answered {}, right is {}", "{word}：作答 {}，正解 {}", answer(item), item.gold);
    if let Some(other) = beside {
        let (other_word, _) = verdict(other);
        words.push_str(&tr!(
            "; the marked run answered {} ({other_word})",
            "；对照作答 {}（{other_word}）",
            answer(other)
        ));
    }
    let mut blocks = vec![Block { role, ..Block::new("", words) }];
    if item.truncated > 0 {
        let lost = tr!(
            "The model did not read the first {} tokens of the prompt: it was too long.",
            "提示过长，模型没有读到开头的 {} 个词元。",
            item.truncated
        );
        blocks.push(Block { role: Role::Warn, ..Block::new("", lost) });
    }
    if !item.loglikelihoods.is_empty() {
        blocks.push(Block::new(
            tr!("choices: probability among them", "选项：相对概率"),
            choices(item, beside, area.width),
        ));
    }
    if !item.written.is_empty() {
        blocks.push(Block::new(tr!("what the model wrote", "模型所写"), item.written.as_str()));
    }
    if let Some(other) = beside.filter(|o| !o.written.is_empty()) {
        blocks.push(Block::new(tr!("what the marked run wrote", "对照所写"), other.written.as_str()));
    }
    blocks.push(Block::new(tr!("prompt, as it was sent", "实际发送的提示"), item.prompt.as_str()));
    if let Some(other) = beside.filter(|o| o.prompt != item.prompt) {
        blocks.push(Block::new(tr!("prompt of the marked run", "对照的提示"), other.prompt.as_str()));
    }
    pager.draw(p, area, &blocks);
}

fn verdict(item: &OutcomeView) -> (String, Role) {
    if item.correct { (tr!("right", "答对"), Role::Good) } else { (tr!("wrong", "答错"), Role::Bad) }
}

/// One line per choice: log-likelihood and probability of this run, those of the other, whether it is chosen or right,
/// the choice.
fn choices(item: &OutcomeView, beside: Option<&OutcomeView>, width: u16) -> String {
    // The longest bar and whether there is room for the log-likelihoods, which only experts read.
    let (bar, exact) = match width {
        100.. => (20, true),
        // Two runs beside each other leave room for short bars only.
        70.. => (if beside.is_some() { 5 } else { 10 }, true),
        _ => (5, false),
    };
    let best = argmax(&item.loglikelihoods);
    let right = right(item, best);
    let (chosen_word, right_word) = (tr!("chosen", "所选"), tr!("right", "正解"));
    let both = format!("{chosen_word}, {right_word}");
    let widest =
        if best == right { text::width(&both) } else { text::width(&chosen_word).max(text::width(&right_word)) };
    let column = bar + 8 + if exact { 10 } else { 0 };
    let mut head = text::pad(&tr!("this run", "本次"), column);
    if beside.is_some() {
        head.push_str("  ");
        head.push_str(&text::pad(&tr!("marked", "对照"), column));
    }
    let shares: Vec<(&OutcomeView, Vec<f64>)> =
        std::iter::once(item).chain(beside).map(|o| (o, softmax(&o.loglikelihoods).unwrap_or_default())).collect();
    let mut lines = vec![head.trim_end().to_owned()];
    for (i, choice) in item.choices.iter().enumerate() {
        let mut line = String::new();
        for (outcome, shares) in &shares {
            let Some(share) = shares.get(i) else {
                line.push_str(&" ".repeat(column + 2));
                continue;
            };
            if exact {
                let value = outcome.loglikelihoods.get(i).map_or_else(String::new, |v| format!("{v:.4}"));
                line.push_str(&text::pad_left(&value, 9));
                line.push(' ');
            }
            line.push_str(&text::pad_left(&percent(*share), 6));
            line.push(' ');
            let filled = "⣿".repeat((share * bar as f64).round() as usize);
            line.push_str(&text::pad(&filled, bar + 1));
            line.push_str("  ");
        }
        let mark = match (best == Some(i), right == Some(i)) {
            (true, true) => both.as_str(),
            (true, false) => chosen_word.as_str(),
            (false, true) => right_word.as_str(),
            (false, false) => "",
        };
        // A continuation may begin with a blank that matters: quoted, it can be seen.
        let choice = text::clean(choice).replace('\n', " ");
        line.push_str(&format!("{}  \"{choice}\"", text::pad(mark, widest)));
        lines.push(line);
    }
    lines.join("\n")
}

/// Which choice is the right one. Results name it by its text or by its letter.
fn right(item: &OutcomeView, best: Option<usize>) -> Option<usize> {
    if item.correct {
        return best;
    }
    let gold = item.gold.trim();
    let by_letter = || match gold.as_bytes() {
        [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
        _ => None,
    };
    item.choices.iter().position(|choice| choice.trim() == gold).or_else(by_letter)
}
