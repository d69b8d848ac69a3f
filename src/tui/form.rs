//! Forms that start a job, and what they are filled in with.

use super::theme::Role;
use super::widgets::{Input, Paint, popup};
use crate::error::{Error, Kind, Result};
use crate::text;
use crate::tr;
use ratatui::layout::Rect;

/// What a training is started with from the screen; the rest has the command line's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainForm {
    /// Catalogue name, folder or `.gguf` file.
    pub model: String,
    /// Dataset name.
    pub dataset: String,
    /// Name of the adapter to make.
    pub adapter: String,
    /// Optimiser steps; none trains one epoch.
    pub steps: Option<u64>,
    /// LoRA rank.
    pub rank: u32,
    /// Highest learning rate.
    pub lr: f64,
}

/// What a benchmark score is started with from the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreForm {
    /// Benchmark name, definition file or group.
    pub benchmark: String,
    /// Catalogue name, folder or `.gguf` file.
    pub model: String,
    /// Adapter name; empty for none.
    pub adapter: String,
    /// Examples shown before each question.
    pub shots: u32,
    /// At most this many items per subject; none scores all.
    pub limit: Option<u64>,
}

/// A job to start.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Train an adapter.
    Train(TrainForm),
    /// Score a model.
    Score(ScoreForm),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Train,
    Score,
}

/// A form being filled in.
#[derive(Clone, Debug)]
pub struct Form {
    purpose: Purpose,
    fields: Vec<(String, Input)>,
    focus: usize,
    complaint: Option<String>,
}

impl Form {
    /// The form for a training.
    pub fn train() -> Form {
        Form::new(
            Purpose::Train,
            vec![
                (tr!("model", "模型"), "smollm2-135m"),
                (tr!("dataset", "数据集"), ""),
                (tr!("adapter (a new name)", "适配器（新名称）"), ""),
                (tr!("steps (empty: one epoch)", "步数（留空为一轮）"), ""),
                (tr!("rank", "秩 (rank)"), "8"),
                (tr!("learning rate", "学习率"), "2e-4"),
            ],
        )
    }

    /// The form for a score.
    pub fn score() -> Form {
        Form::new(
            Purpose::Score,
            vec![
                (tr!("benchmark", "评测集"), "finance-qa"),
                (tr!("model", "模型"), "smollm2-135m"),
                (tr!("adapter (empty: none)", "适配器（可留空）"), ""),
                (tr!("few-shot examples", "少样本示例数"), "0"),
                (tr!("items per subject (empty: all)", "每科题数（留空为全部）"), ""),
            ],
        )
    }

    fn new(purpose: Purpose, fields: Vec<(String, &str)>) -> Form {
        let fields = fields.into_iter().map(|(label, text)| (label, Input::new(text))).collect();
        Form { purpose, fields, focus: 0, complaint: None }
    }

    /// Moves to the next field, or to the one before.
    pub fn step(&mut self, forward: bool) {
        let n = self.fields.len();
        self.focus = (self.focus + if forward { 1 } else { n - 1 }) % n;
    }

    /// The field that is typed into.
    pub fn input(&mut self) -> Option<&mut Input> {
        self.complaint = None;
        self.fields.get_mut(self.focus).map(|(_, input)| input)
    }

    /// The job that was described; what is missing or no number is told and gets the focus.
    pub fn submit(&mut self) -> Option<Job> {
        match self.read() {
            Ok(job) => Some(job),
            Err((field, error)) => {
                self.focus = field;
                self.complaint = Some(error.message);
                None
            }
        }
    }

    fn read(&self) -> Result<Job, (usize, Error)> {
        Ok(match self.purpose {
            Purpose::Train => Job::Train(TrainForm {
                model: self.word(0)?,
                dataset: self.word(1)?,
                adapter: self.word(2)?,
                steps: self.optional(3)?,
                rank: self.number(4)?,
                lr: self.number(5)?,
            }),
            Purpose::Score => Job::Score(ScoreForm {
                benchmark: self.word(0)?,
                model: self.word(1)?,
                adapter: self.text(2),
                shots: self.number(3)?,
                limit: self.optional(4)?,
            }),
        })
    }

    fn text(&self, field: usize) -> String {
        self.fields.get(field).map_or_else(String::new, |(_, input)| input.text().trim().to_owned())
    }

    fn complaint(&self, field: usize, what: String) -> (usize, Error) {
        let label = self.fields.get(field).map_or("", |(label, _)| label);
        (field, Error::new(Kind::InvalidInput, tr!("{label}: {what}", "{label}：{what}")))
    }

    fn word(&self, field: usize) -> Result<String, (usize, Error)> {
        let text = self.text(field);
        if text.is_empty() { Err(self.complaint(field, tr!("fill this in", "请填写"))) } else { Ok(text) }
    }

    fn number<T: std::str::FromStr>(&self, field: usize) -> Result<T, (usize, Error)> {
        self.text(field).parse().map_err(|_| self.complaint(field, tr!("this is not a number", "这不是合适的数字")))
    }

    fn optional(&self, field: usize) -> Result<Option<u64>, (usize, Error)> {
        if self.text(field).is_empty() { Ok(None) } else { self.number(field).map(Some) }
    }

    /// Draws the form over the screen.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        let title = match self.purpose {
            Purpose::Train => tr!("New training", "新建训练"),
            Purpose::Score => tr!("New score", "新建评测"),
        };
        let height = u16::try_from(self.fields.len()).unwrap_or(8) + 6;
        let inside = popup(p, area, 72, height, &title);
        let labels = self.fields.iter().map(|(label, _)| text::width(label)).max().unwrap_or(0);
        let labels = u16::try_from(labels).unwrap_or(20).min(inside.width / 2);
        // In a low frame the fields around the focus are shown.
        let room = usize::from(inside.height.saturating_sub(3)).max(1);
        let first = (self.focus + 1).saturating_sub(room);
        for (i, (label, input)) in self.fields.iter().enumerate().skip(first).take(room) {
            let y = inside.y + 1 + (i - first) as u16;
            let focus = i == self.focus;
            p.text(inside.x, y, labels, label, if focus { Role::Accent } else { Role::Dim });
            p.text(
                inside.x + labels + 1,
                y,
                1,
                if focus { "▸" } else { ":" },
                if focus { Role::Accent } else { Role::Dim },
            );
            let x = inside.x + labels + 3;
            input.draw(p, Rect { x, y, width: inside.right().saturating_sub(x), height: 1 }, focus);
        }
        let note = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
        match &self.complaint {
            Some(complaint) => p.text(note.x, note.y, note.width, complaint, Role::Bad),
            None => {
                let note_text = tr!(
                    "The job runs here; leaving the program stops it at a step.",
                    "任务在本程序中运行；退出程序会让它在一步之后停下。"
                );
                p.text(note.x, note.y, note.width, &note_text, Role::Dim)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(form: &mut Form, texts: &[&str]) {
        for text in texts {
            if let Some(input) = form.input() {
                input.clear();
                input.insert(text);
            }
            form.step(true);
        }
    }

    #[test]
    fn a_filled_form_gives_its_job() {
        let mut form = Form::train();
        fill(&mut form, &["m", " 聚宝盆 ", "jubaopen", "30", "16", "1e-3"]);
        let expected = TrainForm {
            model: "m".into(),
            dataset: "聚宝盆".into(),
            adapter: "jubaopen".into(),
            steps: Some(30),
            rank: 16,
            lr: 1e-3,
        };
        assert_eq!(form.submit(), Some(Job::Train(expected)));
        let mut form = Form::score();
        fill(&mut form, &["finance", "m", "", "5", ""]);
        let Some(Job::Score(job)) = form.submit() else { panic!("no job") };
        assert_eq!((job.shots, job.limit, job.adapter.as_str()), (5, None, ""));
    }

    #[test]
    fn what_is_wrong_is_named_and_gets_the_focus() {
        let mut form = Form::train();
        fill(&mut form, &["m", "", "a", "", "8", "2e-4"]);
        assert_eq!(form.submit(), None);
        assert_eq!(form.focus, 1);
        assert!(form.complaint.is_some());
        fill(&mut form, &["d", "a", "many"]);
        assert_eq!(form.submit(), None);
        assert_eq!(form.focus, 3);
    }
}
