//! Models on this machine, adapters, and what the catalogue has to pull; one of them in full.

use super::roster::Roster;
use super::{Effect, Empty, Fetched, Listed, Screen, at_top, nothing_selected};
use crate::error::Result;
use crate::tr;
use crate::tui::action::Action;
use crate::tui::figures::{ago, bytes, count};
use crate::tui::keymap::View;
use crate::tui::query::{Answer, Query};
use crate::tui::source::{ModelFacts, ModelKind, ModelLine, ModelsAnswer, ModelsQuery};
use crate::tui::theme::Role;
use crate::tui::widgets::{Block, Column, Pager, Paint, Text};
use ratatui::layout::Rect;

/// Share of the free memory that may be filled: other programs live on the rest, and an estimate errs.
const SHARE: f64 = 0.85;

/// The models screen.
pub struct Models {
    list: Roster<ModelLine>,
    open: Option<Detail>,
}

/// What is shown in full.
struct Detail {
    line: ModelLine,
    facts: Fetched<ModelFacts>,
    pager: Pager,
}

impl Default for Models {
    fn default() -> Models {
        Models {
            list: Roster::new(
                |m| format!("{:?} {}", m.kind, m.name),
                |m| format!("{} {} {} {} {} {}", m.name, m.title, m.base, m.template, m.data, kind(m.kind).0),
            ),
            open: None,
        }
    }
}

fn kind(kind: ModelKind) -> (String, Role) {
    match kind {
        ModelKind::Here => (tr!("model", "模型"), Role::Good),
        ModelKind::Adapter => (tr!("adapter", "适配器"), Role::Accent),
        ModelKind::Catalogue => (tr!("to pull", "可下载"), Role::Dim),
    }
}

impl Models {
    fn subject(&self) -> Option<&ModelLine> {
        match &self.open {
            Some(detail) => Some(&detail.line),
            None => self.list.selected(),
        }
    }

    fn open(&mut self) -> Vec<Effect> {
        let Some(line) = self.list.selected().cloned() else { return vec![] };
        let ask = match line.kind {
            ModelKind::Here => Some(line.name.clone()),
            // What an adapter needs is what its base needs.
            ModelKind::Adapter => Some(line.base.clone()),
            ModelKind::Catalogue => None,
        };
        self.open = Some(Detail { line, facts: Fetched::Loading, pager: Pager::default() });
        ask.map(|name| Effect::Ask(Query::Models(ModelsQuery::Facts(name)))).into_iter().collect()
    }

    fn draw_list(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        let columns = [
            Column::new(tr!("kind", "种类"), 8, 8),
            Column::rest(tr!("name", "名称"), 20, 9),
            Column::number(tr!("size", "大小"), 7),
            Column::new(tr!("base", "基础模型"), 24, 6),
            Column::new(tr!("template", "模板"), 12, 5),
            Column::number(tr!("rank", "秩"), 4),
            Column::new(tr!("trained on", "训练数据"), 30, 3),
            Column::new(tr!("licence", "许可证"), 14, 1),
            Column::new(tr!("made", "时间"), 14, 2),
        ];
        let row = |m: &ModelLine| {
            let (word, role) = kind(m.kind);
            vec![
                Text(word, role),
                m.name.as_str().into(),
                bytes(m.bytes).into(),
                Text(short(&m.base), Role::Dim),
                Text(m.template.clone(), Role::Dim),
                Text(m.rank.map_or_else(String::new, |rank| rank.to_string()), Role::Dim),
                Text(m.data.clone(), Role::Dim),
                Text(m.licence.clone(), Role::Dim),
                Text(if m.created.is_empty() { String::new() } else { ago(&m.created, now) }, Role::Dim),
            ]
        };
        let empty = Empty {
            title: tr!("No model yet.", "还没有模型。"),
            steps: vec![(
                tr!("Pull one from the catalogue or a hub:", "从目录或模型站下载一个："),
                "linly-bench models pull smollm2-135m",
            )],
        };
        self.list.draw(p, area, &columns, &row, &empty);
    }
}

/// Paths are told apart by their ends.
fn short(name: &str) -> String {
    name.trim_end_matches('/').rsplit('/').next().unwrap_or(name).to_owned()
}

/// Whether `need` bytes fit, in words.
fn verdict(need: u64, free: Option<u64>) -> (String, Role) {
    let about = bytes(need);
    match free {
        None => (tr!("about {about}", "约 {about}"), Role::Plain),
        Some(free) if need as f64 <= SHARE * free as f64 => {
            (tr!("fits: about {about} of {} free", "放得下：约 {about}，可用 {}", bytes(free)), Role::Good)
        }
        Some(free) => {
            (tr!("does not fit: about {about}, {} are free", "放不下：约 {about}，可用 {}", bytes(free)), Role::Bad)
        }
    }
}

fn draw_detail(p: &mut Paint<'_>, area: Rect, detail: &Detail, now: i64) {
    let m = &detail.line;
    let mut own = vec![(tr!("kind", "种类"), kind(m.kind).0)];
    let mut add = |label: String, value: String| {
        if !value.is_empty() {
            own.push((label, value));
        }
    };
    add(tr!("title", "全名"), m.title.clone());
    add(tr!("base", "基础模型"), m.base.clone());
    add(tr!("template", "模板"), m.template.clone());
    add(tr!("rank", "秩"), m.rank.map_or_else(String::new, |rank| rank.to_string()));
    add(tr!("trained on", "训练数据"), m.data.clone());
    add(tr!("run", "运行"), m.run.clone());
    add(tr!("made", "时间"), if m.created.is_empty() { String::new() } else { ago(&m.created, now) });
    add(tr!("size on disk", "占用磁盘"), bytes(m.bytes));
    add(tr!("path", "路径"), m.path.clone());
    if m.kind == ModelKind::Catalogue {
        add(tr!("licence", "许可证"), m.licence.clone());
    }
    let lines = |facts: &[(String, String)]| {
        facts
            .iter()
            .map(|(label, value)| format!("{label}: {}", crate::text::one_line(value)))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let mut blocks = vec![Block::new(m.name.as_str(), lines(&own))];
    match &detail.facts {
        _ if m.kind == ModelKind::Catalogue => {
            let note = tr!(
                "Not on this machine. Pull it to see what it needs: p starts the download in the background.",
                "尚未下载。下载后可查看其需求：按 p 在后台开始下载。"
            );
            blocks.push(Block { role: Role::Dim, ..Block::new("", note) });
        }
        Fetched::Loading => blocks.push(Block { role: Role::Dim, ..Block::new("", tr!("Loading", "正在读取")) }),
        Fetched::Failed(error) => {
            let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("\n{hint}"));
            blocks.push(Block { role: Role::Bad, ..Block::new("", format!("{}{hint}", error.message)) });
        }
        Fetched::Ready(facts) => {
            for (title, need) in [
                (tr!("memory for inference", "推理所需内存"), facts.infer),
                (tr!("memory for training an adapter", "训练适配器所需内存"), facts.train),
            ] {
                let (words, role) = verdict(need, facts.free);
                blocks.push(Block { role, ..Block::new(title, words) });
            }
            let tokens = count(facts.tokens);
            let note = tr!(
                "f32, {tokens} tokens at a time; bf16, --quantize and --checkpointing need less.",
                "按 f32、一次 {tokens} 个词元估计；bf16、--quantize、--checkpointing 所需更少。"
            );
            blocks.push(Block { role: Role::Dim, ..Block::new("", note) });
            let title =
                if m.kind == ModelKind::Adapter { tr!("its base", "其基础模型") } else { tr!("facts", "详情") };
            blocks.push(Block::new(title, lines(&facts.facts)));
        }
    }
    detail.pager.draw(p, area, &blocks);
}

impl Screen for Models {
    fn view(&self) -> View {
        if self.open.is_some() { View::Model } else { View::Models }
    }

    fn place(&self) -> Vec<String> {
        match &self.open {
            Some(detail) => vec![tr!("Models", "模型"), detail.line.name.clone()],
            None => vec![tr!("Models", "模型"), count(self.list.len() as u64)],
        }
    }

    fn obstacle(&self, action: Action) -> Option<String> {
        let subject = self.subject();
        match action {
            Action::Open | Action::Pull | Action::Merge | Action::Copy if subject.is_none() => Some(nothing_selected()),
            Action::Pull if subject.is_some_and(|m| m.kind == ModelKind::Adapter) => {
                Some(tr!("an adapter is not pulled", "适配器无需下载"))
            }
            Action::Pull if subject.is_some_and(|m| m.kind == ModelKind::Here) => {
                Some(tr!("it is on this machine already", "已在本机"))
            }
            Action::Merge if subject.is_some_and(|m| m.kind != ModelKind::Adapter) => {
                Some(tr!("an adapter is merged: select one", "只能合并适配器：请选中一个"))
            }
            Action::Back if self.open.is_none() && self.list.filter.is_empty() => Some(at_top()),
            _ => None,
        }
    }

    fn update(&mut self, action: Action) -> Vec<Effect> {
        match (action, self.subject().cloned()) {
            (Action::Open, _) => return self.open(),
            (Action::Pull, Some(m)) => {
                return vec![Effect::Run(["models", "pull", &m.name].map(String::from).to_vec())];
            }
            (Action::Merge, Some(m)) => {
                let argv = ["models", "merge", "--model", &m.base, "--adapter", &m.name, "--output", &m.merged];
                return vec![Effect::Run(argv.map(String::from).to_vec())];
            }
            (Action::Copy, Some(m)) => return vec![Effect::Copy(m.name)],
            (Action::Back, _) => {
                if self.open.take().is_none() {
                    self.list.filter.clear();
                    self.list.refilter();
                }
            }
            _ => {
                match &mut self.open {
                    Some(detail) => detail.pager.update(action),
                    None => self.list.update(action),
                };
            }
        }
        vec![]
    }

    fn poll(&mut self, slow: bool) -> Vec<Query> {
        if slow { vec![Query::Models(ModelsQuery::List)] } else { vec![] }
    }

    fn receive(&mut self, query: &Query, answer: Result<Answer>) -> Vec<Effect> {
        match (query, answer) {
            (Query::Models(ModelsQuery::List), Ok(Answer::Models(ModelsAnswer::List(list)))) => self.list.set(Ok(list)),
            (Query::Models(ModelsQuery::List), Err(error)) => self.list.set(Err(error)),
            (Query::Models(ModelsQuery::Facts(name)), answer) => {
                let about = |d: &&mut Detail| *name == d.line.name || *name == d.line.base;
                if let Some(detail) = self.open.as_mut().filter(about) {
                    match answer {
                        Ok(Answer::Models(ModelsAnswer::Facts(facts))) => detail.facts = Fetched::Ready(facts),
                        Err(error) => detail.facts = Fetched::Failed(error),
                        Ok(_) => {}
                    }
                }
            }
            _ => {}
        }
        vec![]
    }

    fn list(&mut self) -> Option<&mut dyn Listed> {
        if self.open.is_some() { None } else { Some(&mut self.list) }
    }

    fn draw(&self, p: &mut Paint<'_>, area: Rect, now: i64) {
        match &self.open {
            None => self.draw_list(p, area, now),
            Some(detail) => draw_detail(p, area, detail, now),
        }
    }
}
