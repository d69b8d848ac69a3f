//! One row in full.

use super::part;
use crate::store::Mark;
use crate::tr;
use crate::tui::source::RowView;
use crate::tui::theme::Role;
use crate::tui::widgets::Block;

/// The row's facts and texts, in the order in which they are said.
pub fn blocks(row: &RowView) -> Vec<Block> {
    let mark = match row.mark {
        Some(Mark::Good) => tr!("   + good", "   + 好"),
        Some(Mark::Bad) => tr!("   - bad", "   - 差"),
        None => String::new(),
    };
    let note = if row.note.is_empty() { String::new() } else { format!("   {}", row.note) };
    let facts = format!("{}   {}   {}{mark}{note}", part(row.split), row.lang, row.origin);
    let mut blocks = vec![Block { role: Role::Dim, ..Block::new("", facts) }];
    if !row.system.is_empty() {
        blocks.push(Block::new(tr!("system", "系统消息"), row.system.as_str()));
    }
    if !row.tools.is_empty() {
        blocks.push(Block::new(tr!("tools", "工具"), row.tools.as_str()));
    }
    for (i, (question, answer)) in row.history.iter().enumerate() {
        let turn = i + 1;
        let asked = if row.tool_turns.contains(&i) {
            tr!("turn {turn}, tool result", "第 {turn} 轮 工具结果")
        } else {
            tr!("turn {turn}, question", "第 {turn} 轮 问")
        };
        blocks.push(Block::new(asked, question.as_str()));
        blocks.push(Block::new(tr!("turn {turn}, answer", "第 {turn} 轮 答"), answer.as_str()));
    }
    let own = row.tool_turns.contains(&row.history.len());
    let asked = if own { tr!("tool result", "工具结果") } else { tr!("instruction", "指令") };
    blocks.push(Block::new(asked, row.instruction.as_str()));
    if !row.input.is_empty() {
        blocks.push(Block::new(tr!("input", "输入"), row.input.as_str()));
    }
    blocks.push(Block::new(tr!("output", "回答"), row.output.as_str()));
    blocks
}
