//! One benchmark item in full: the prompt as it was sent, the choices with their log-likelihoods, and
//! the same from the marked run.

use crate::text;
use crate::tr;
use crate::tui::source::OutcomeView;
use crate::tui::theme::Role;
use crate::tui::widgets::{Block, Pager, Paint};
use ratatui::layout::Rect;

/// Draws `item`, with what the marked run made of it.
pub fn draw_item(p: &mut Paint<'_>, area: Rect, pager: &Pager, item: &OutcomeView, beside: Option<&OutcomeView>) {
    let verdict = if item.correct { tr!("right", "答对") } else { tr!("wrong", "答错") };
    let role = if item.correct { Role::Good } else { Role::Bad };
    let mut words = tr!("{verdict}: answered {}, right is {}", "{verdict}：作答 {}，正解 {}", item.pred, item.gold);
    if let Some(other) = beside {
        words.push_str(&tr!("; the marked run answered {}", "；对照作答 {}", other.pred));
    }
    let mut blocks = vec![Block { role, ..Block::new("", words) }];
    if !item.loglikelihoods.is_empty() {
        blocks.push(Block::new(tr!("log-likelihoods", "对数似然"), choices(item, beside)));
    }
    blocks.push(Block::new(tr!("prompt, as it was sent", "实际发送的提示"), item.prompt.as_str()));
    pager.draw(p, area, &blocks);
}

/// One line per choice: log-likelihood, the marked run's, whether it is chosen or right, the choice.
fn choices(item: &OutcomeView, beside: Option<&OutcomeView>) -> String {
    let number = |o: &OutcomeView, i: usize| o.loglikelihoods.get(i).map_or_else(String::new, |v| format!("{v:.4}"));
    let best = best(&item.loglikelihoods);
    let right = right(item, best);
    let (chosen_word, right_word) = (tr!("chosen", "所选"), tr!("right", "正解"));
    let both = format!("{chosen_word}, {right_word}");
    let widest =
        if best == right { text::width(&both) } else { text::width(&chosen_word).max(text::width(&right_word)) };
    let mut head = text::pad_left(&tr!("this run", "本次"), 10);
    if beside.is_some() {
        head.push_str(&text::pad_left(&tr!("marked", "对照"), 12));
    }
    let mut lines = vec![head];
    for (i, choice) in item.choices.iter().enumerate() {
        let mut line = text::pad_left(&number(item, i), 10);
        if let Some(other) = beside {
            line.push_str(&text::pad_left(&number(other, i), 12));
        }
        let mark = match (best == Some(i), right == Some(i)) {
            (true, true) => both.as_str(),
            (true, false) => chosen_word.as_str(),
            (false, true) => right_word.as_str(),
            (false, false) => "",
        };
        // A continuation may begin with a blank that matters: quoted, it can be seen.
        let choice = text::clean(choice).replace('\n', " ");
        line.push_str(&format!("  {}  \"{choice}\"", text::pad(mark, widest)));
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

/// The first of the largest.
fn best(values: &[f64]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (i, v) in values.iter().enumerate() {
        if best.and_then(|b| values.get(b)).is_none_or(|b| v > b) {
            best = Some(i);
        }
    }
    best
}
