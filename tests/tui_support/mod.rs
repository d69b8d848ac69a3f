//! A made-up source, and an interface that is driven without a terminal.
#![allow(dead_code)] // Each test file uses a part of it.
#![allow(clippy::unwrap_used, clippy::panic)] // A failure here is a failed test.

pub mod arena;
mod data;
pub mod runs;

use linly_bench::data::Split;
use linly_bench::error::{Error, Kind, Result};
use linly_bench::job::{JobEvent, StepMetrics};
use linly_bench::lang::{self, Lang};
use linly_bench::store::{JobState, RunRecord, RunStatus};
use linly_bench::tui::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::sync::{Mutex, MutexGuard};

/// 2026-11-24T12:00:00Z.
pub const NOW: i64 = 1_795_521_600;

static LANGUAGE: Mutex<()> = Mutex::new(());

/// The language is the whole process's: tests that set it take turns.
pub fn speak(lang: Lang) -> MutexGuard<'static, ()> {
    let guard = LANGUAGE.lock().unwrap_or_else(|e| e.into_inner());
    lang::set(lang);
    guard
}

#[derive(Default)]
pub struct Fake {
    pub datasets: Vec<DatasetView>,
    pub rows: Vec<RowView>,
    pub runs: Vec<RunRecord>,
    pub events: Vec<(i64, JobEvent)>,
    pub subjects: Vec<SubjectView>,
    pub outcomes: Vec<OutcomeView>,
    pub arenas: Vec<ArenaView>,
    pub battles: Vec<(BlindBattle, Names)>,
    pub votes: Vec<(i64, Vote)>,
    pub board: LeaderboardView,
    pub comparison: ComparisonView,
    pub asked_events: Vec<(String, i64)>,
    pub broken: bool,
    pub deleted: Vec<String>,
    pub bin: Vec<DatasetView>,
    pub restored: Vec<u64>,
    pub models: Vec<ModelLine>,
    pub asked: Vec<&'static str>,
    pub jobs: Vec<JobLine>,
    pub log: String,
    pub started: Vec<Vec<String>>,
    pub stopped: Vec<String>,
    pub kept: Vec<Preferences>,
    pub sitting: arena::Sitting,
    pub forecast: ForecastView,
}

impl Fake {
    fn check(&mut self, what: &'static str) -> Result<()> {
        self.asked.push(what);
        if self.broken {
            return Err(Error::new(Kind::Corrupt, "linly.db is damaged or not a database")
                .hint("move it away and start anew, or choose another home with --home DIR"));
        }
        Ok(())
    }
}

impl Source for Fake {
    fn datasets(&mut self) -> Result<Vec<DatasetView>> {
        self.check("datasets").map(|()| self.datasets.clone())
    }

    fn data(&mut self, query: &DataQuery) -> Result<DataAnswer> {
        self.check("data")?;
        data::answer(self, query)
    }

    fn models(&mut self, query: &ModelsQuery) -> Result<ModelsAnswer> {
        self.check("models")?;
        Ok(match query {
            ModelsQuery::List => ModelsAnswer::List(self.models.clone()),
            ModelsQuery::Facts(name) => ModelsAnswer::Facts(ModelFacts {
                facts: vec![("architecture".into(), "llama".into()), ("name".into(), name.clone())],
                infer: 600 << 20,
                train: 2 << 30,
                free: Some(8 << 30),
                tokens: 2048,
            }),
        })
    }

    fn runs(&mut self, kind: &str) -> Result<Vec<RunRecord>> {
        self.check("runs")?;
        Ok(self.runs.iter().filter(|r| r.kind == kind).cloned().collect())
    }

    fn events(&mut self, run: &str, after: i64) -> Result<Vec<(i64, JobEvent)>> {
        self.check("events")?;
        self.asked_events.push((run.to_owned(), after));
        Ok(runs::events(run, &self.events).iter().filter(|(n, _)| *n > after).cloned().collect())
    }

    fn subjects(&mut self, run: &str) -> Result<Vec<SubjectView>> {
        self.check("subjects")?;
        let mut subjects = self.subjects.clone();
        if run.ends_with("base") {
            subjects.iter_mut().for_each(|s| s.correct /= 2);
        }
        if run.ends_with("live") {
            subjects[0].n = 30;
            subjects[1].n = 80;
            subjects[0].correct = 20;
        }
        Ok(subjects)
    }

    fn outcomes(&mut self, run: &str, _subject: &str) -> Result<Vec<OutcomeView>> {
        self.check("outcomes")?;
        let mut outcomes = self.outcomes.clone();
        if run.ends_with("base") {
            for o in &mut outcomes {
                (o.pred, o.correct) = ("D".into(), false);
            }
        }
        Ok(outcomes)
    }

    fn arenas(&mut self) -> Result<Vec<ArenaView>> {
        self.check("arenas").map(|()| self.arenas.clone())
    }

    fn next_battle(&mut self, _arena: &str, after: i64) -> Result<Option<BlindBattle>> {
        self.check("next_battle")?;
        let mut open: Vec<&BlindBattle> =
            self.battles.iter().map(|(b, _)| b).filter(|b| self.votes.iter().all(|(id, _)| *id != b.id)).collect();
        open.sort_by_key(|b| (b.id <= after, b.id));
        Ok(open.first().map(|b| (*b).clone()))
    }

    fn vote(&mut self, _arena: &str, battle: i64, vote: Vote) -> Result<Names> {
        self.check("vote")?;
        self.votes.push((battle, vote));
        let found = self.battles.iter().find(|(b, _)| b.id == battle);
        found.map(|(_, names)| names.clone()).ok_or_else(|| Error::new(Kind::NotFound, "no such battle"))
    }

    fn take_vote_back(&mut self, _arena: &str, battle: i64) -> Result<()> {
        self.check("take_vote_back")?;
        self.votes.retain(|(id, _)| *id != battle);
        Ok(())
    }

    fn arena(&mut self, query: &ArenaQuery) -> Result<ArenaAnswer> {
        self.check("arena")?;
        arena::answer(self, query)
    }

    fn leaderboard(&mut self) -> Result<LeaderboardView> {
        self.check("leaderboard").map(|()| self.board.clone())
    }

    fn scores(&mut self, query: &ScoresQuery) -> Result<ScoresAnswer> {
        self.check("scores")?;
        runs::scores(self, query)
    }

    fn jobs(&mut self, query: &JobsQuery) -> Result<JobsAnswer> {
        self.check("jobs")?;
        Ok(match query {
            JobsQuery::List => JobsAnswer::List(self.jobs.clone()),
            JobsQuery::Log { from, .. } => {
                let from = (*from as usize).min(self.log.len());
                let text = self.log[from..].to_owned();
                JobsAnswer::Log(LogPiece { text, from: from as u64, next: self.log.len() as u64 })
            }
            JobsQuery::Start(argv) => {
                self.started.push(argv.clone());
                let job = JobLine { title: argv.join(" "), ..job("job-new", JobState::Running) };
                self.jobs.insert(0, job.clone());
                JobsAnswer::Started(job)
            }
            JobsQuery::Stop(id) => {
                self.stopped.push(id.clone());
                self.jobs.iter_mut().filter(|j| j.id == *id).for_each(|j| j.state = JobState::Interrupted);
                JobsAnswer::Done
            }
            JobsQuery::Resume(_) => JobsAnswer::Started(job("job-resumed", JobState::Running)),
            JobsQuery::Remove(id) => {
                self.jobs.retain(|j| j.id != *id);
                JobsAnswer::Done
            }
        })
    }

    fn choices(&mut self) -> Result<Choices> {
        self.check("choices")?;
        Ok(Choices {
            models: vec!["smollm2-135m".into(), "gemma3-270m".into()],
            datasets: self.datasets.iter().map(|d| d.name.clone()).collect(),
            benchmarks: vec!["finance".into(), "ceval".into()],
            ..Choices::default()
        })
    }

    fn forecast(&mut self, _argv: &[String]) -> Result<ForecastView> {
        self.check("forecast").map(|()| self.forecast.clone())
    }

    fn keep(&mut self, preferences: &Preferences) -> Result<()> {
        self.check("keep")?;
        self.kept.push(preferences.clone());
        Ok(())
    }
}

pub fn job(id: &str, state: JobState) -> JobLine {
    JobLine {
        id: id.into(),
        title: "train --model smollm2-135m --data finance-zh --adapter jubaopen".into(),
        state,
        created: "2026-11-24T11:20:00.000Z".into(),
        ended: (state != JobState::Running).then(|| "2026-11-24T11:21:30.000Z".into()),
        exit_code: match state {
            JobState::Finished => Some(0),
            JobState::Failed => Some(1),
            _ => None,
        },
        message: if state == JobState::Failed { "there is no dataset `x`".into() } else { String::new() },
        runs: Vec::new(),
        stops: 0,
        resumed_as: None,
        progress: (state == JobState::Running).then(|| ("steps".into(), 180, Some(300))),
    }
}

/// A few verbs, enough for the palette and the forms.
pub fn verbs() -> Commands {
    let field = |name: &str, required, naming| VerbField {
        name: name.into(),
        flag: Some(format!("--{name}")),
        help: format!("What {name} stands for"),
        required,
        valued: true,
        naming,
        ..VerbField::default()
    };
    let verb = |path: &str, about: &str, fields| Verb {
        path: path.split(' ').map(String::from).collect(),
        about: about.into(),
        fields,
    };
    let train = vec![
        field("model", true, Naming::Model),
        field("data", true, Naming::Dataset),
        field("adapter", true, Naming::Nothing),
        VerbField { default: "8".into(), ..field("rank", false, Naming::Nothing) },
        VerbField { valued: false, ..field("progress-samples", false, Naming::Nothing) },
    ];
    let import = vec![
        VerbField { flag: None, many: true, ..field("paths", true, Naming::Nothing) },
        field("name", true, Naming::Nothing),
    ];
    let run = vec![
        VerbField { flag: None, many: true, ..field("benchmarks", true, Naming::Benchmark) },
        field("model", true, Naming::Model),
    ];
    Commands {
        verbs: vec![
            verb("demo", "The whole job on embedded defaults", vec![]),
            verb("data import", "Bring a file of instructions", import),
            verb("train", "Train an adapter on a dataset", train),
            verb("run", "Score a model on benchmarks", run),
            verb("leaderboard", "Models by scores and ratings", vec![]),
        ],
        check: |argv| argv.iter().any(|a| a == "many").then(|| "invalid value 'many' for --rank".to_owned()),
    }
}

pub fn run_record(id: &str, kind: &str, status: RunStatus) -> RunRecord {
    RunRecord {
        id: id.into(),
        kind: kind.into(),
        status,
        model: "smollm2-135m".into(),
        model_hash: String::new(),
        adapter: "jubaopen".into(),
        adapter_hash: String::new(),
        dataset: "finance-zh".into(),
        dataset_version: String::new(),
        task: String::new(),
        template: "chatml".into(),
        config: serde_json::Value::Null,
        result: serde_json::Value::Null,
        code_version: "0.1.0".into(),
        started: "2026-11-24T11:20:00.000Z".into(),
        finished: None,
        error: serde_json::Value::Null,
        job: None,
    }
}

pub fn step(step: u64, total: u64) -> JobEvent {
    let x = step as f64 / total as f64;
    JobEvent::Step(StepMetrics {
        step,
        total,
        loss: 1.2 + 2.4 * (-4.0 * x).exp() + 0.12 * (step as f64 * 1.7).sin(),
        lr: 2e-4 * (1.0 - x),
        grad_norm: 0.8 + 0.3 * (step as f64 * 0.9).cos(),
        tokens: 2048,
        supervised_tokens: 900,
        tokens_per_second: 512.0,
        ..StepMetrics::default()
    })
}

/// A training of `n` steps with a validation every 40.
pub fn training(n: u64, total: u64) -> Vec<(i64, JobEvent)> {
    let mut events = vec![JobEvent::Started { run: "r".into(), kind: "train".into(), total }];
    for i in 1..=n {
        events.push(step(i, total));
        if i % 40 == 0 {
            events.push(JobEvent::Eval {
                step: i,
                val_loss: 1.3 + 2.2 * (-4.0 * i as f64 / total as f64).exp(),
                best: true,
            });
        }
    }
    events.push(JobEvent::Log { message: "checkpoint saved".into() });
    events.into_iter().enumerate().map(|(i, e)| (i as i64 + 1, e)).collect()
}

const LONG: &str = "某上市公司在年度报告中披露，其经营活动产生的现金流量净额连续三年低于净利润，应收账款周转天数由四十五天上升到一百二十天。请分析可能的原因，并说明投资者应当关注哪些风险信号。";

/// A home with something of everything, long Chinese texts and hostile ones among it.
pub fn filled() -> Fake {
    let dataset = |name: &str, train, val, zh, licence: &str, source: &str, created: &str| DatasetView {
        name: name.into(),
        version: "f00d".into(),
        train,
        val,
        zh,
        licence: licence.into(),
        source: source.into(),
        created: created.into(),
    };
    let row = |row, lang: &str, instruction: &str, output: &str| RowView {
        row,
        lang: lang.into(),
        instruction: instruction.into(),
        output: output.into(),
        origin: "finance.jsonl:7".into(),
        ..RowView::default()
    };
    let mut rows = vec![
        row(0, "zh", "什么是市盈率？", "市盈率是股价与每股收益之比。"),
        row(1, "en", "What is a bond?", "A bond is a loan that can be traded."),
        row(2, "zh", LONG, "应当关注收入确认是否激进、应收账款是否真实，以及现金流与利润的背离是否持续。"),
        row(3, "en", "\u{1b}[31mred\u{1b}[0m \u{1b}]0;owned\u{7}alert\u{8}", "a\u{202e}b"),
        RowView {
            split: Split::Val,
            system: "你是一位严谨的金融助手。".into(),
            history: vec![("先问一句".into(), "先答一句".into())],
            tool_turns: Vec::new(),
            input: "净利润 2 亿元，总市值 40 亿元。".into(),
            ..row(4, "zh", "计算市盈率。", "40 / 2 = 20 倍。")
        },
    ];
    rows.extend((5..1200).map(|i| row(i, "zh", &format!("第 {i} 题：资产负债率如何计算？"), "总负债除以总资产。")));
    let mut done = run_record("train-20261123-090000-aaaa", "train", RunStatus::Done);
    done.finished = Some("2026-11-24T11:52:30.000Z".into());
    done.result = serde_json::json!({"best_val_loss": 1.3421});
    let mut failed = run_record("train-20261122-090000-bbbb", "train", RunStatus::Failed);
    failed.adapter = "a-rather-long-adapter-name-for-a-small-terminal".into();
    failed.error = serde_json::json!({"kind": "out_of_memory", "message": "memory does not suffice for batch 64",
        "hint": "use --batch-size 4 --accum 16"});
    let score = |id: &str, adapter: &str, acc: f64| {
        let mut run = run_record(id, "eval", RunStatus::Done);
        run.adapter = adapter.into();
        run.task = "finance".into();
        run.result = serde_json::json!({"acc": acc, "acc_stderr": 0.021, "n": 420});
        run
    };
    let outcome = |item: &str, pred: &str, correct| OutcomeView {
        item: item.into(),
        prompt: format!("以下是关于会计的单项选择题。\n\n{LONG}\nA. 收入\nB. 成本\nC. 费用\nD. 利润\n答案："),
        choices: [" A", " B", " C", " D"].map(String::from).to_vec(),
        loglikelihoods: vec![if correct { -1.25 } else { -0.5 }, -0.75, -2.5, -3.125],
        pred: pred.into(),
        gold: "B".into(),
        correct,
        ..OutcomeView::default()
    };
    let battle = |id, question: &str| {
        BlindBattle {
        id,
        question: question.into(),
        answer_a: "市盈率是股价除以每股收益，反映投资者愿意为每一元利润支付的价格。它越高，说明市场对未来增长的预期越高，也可能意味着估值偏贵。".into(),
        answer_b: "It is the price divided by the earnings per share.\n\n\u{1b}[2JNothing more.".into(),
    }
    };
    let names = Names { a: "smollm2-135m + jubaopen".into(), b: "smollm2-135m".into() };
    let figure =
        |value, n| Some(Figure { value, stderr: Some(0.021), interval: None, n: Some(n), origin: "eval-1".into() });
    let rating = Some(Figure {
        value: 1042.0,
        stderr: None,
        interval: Some([990.0, 1094.0]),
        n: Some(48),
        origin: "finance".into(),
    });
    Fake {
        datasets: vec![
            dataset("finance-zh", 12_000, 1_200, 13_200, "Apache-2.0", "own", "2026-11-24T11:57:00.000Z"),
            dataset(
                "聚宝盆金融问答数据集（含财报、研报与公告）",
                18_766,
                0,
                18_000,
                "CC-BY-4.0",
                "imported",
                "2026-11-20T09:00:00.000Z",
            ),
            dataset("alpaca-en", 52_002, 0, 0, "", "", "2026-01-01T00:00:00.000Z"),
        ],
        rows,
        runs: vec![
            run_record("train-20261124-112000-cccc", "train", RunStatus::Running),
            done,
            failed,
            score("eval-20261124-100000-tune", "jubaopen", 0.4567),
            score("eval-20261124-090000-base", "", 0.3124),
        ],
        events: training(180, 300),
        subjects: ["accounting", "银行从业资格", "securities"]
            .into_iter()
            .zip([31, 18, 40])
            .map(|(s, correct)| SubjectView { subject: s.into(), n: 60, correct })
            .collect(),
        outcomes: vec![outcome("0", "B", true), outcome("1", "A", false), outcome("2", "B", true)],
        arenas: vec![
            ArenaView { name: "finance".into(), battles: 48, pending: 12, created: "2026-11-23T12:00:00.000Z".into() },
            ArenaView {
                name: "中文竞技场".into(), battles: 6, pending: 0, created: "2026-11-24T11:00:00.000Z".into()
            },
        ],
        battles: vec![
            (battle(7, "什么是市盈率？它高说明什么？"), names.clone()),
            (battle(9, "What is a bond?"), names),
        ],
        board: LeaderboardView {
            columns: vec![
                ("finance 0-shot".into(), Measure::Accuracy),
                ("ceval 5-shot".into(), Measure::Accuracy),
                ("arena finance".into(), Measure::Rating),
                ("loss finance-zh".into(), Measure::Loss),
            ],
            standings: vec![
                Standing {
                    model: "smollm2-135m + jubaopen".into(),
                    figures: vec![
                        figure(0.4567, 420),
                        None,
                        rating,
                        Some(Figure { value: 1.3421, ..Figure::default() }),
                    ],
                },
                Standing {
                    model: "通义千问-小型".into(),
                    figures: vec![figure(0.3124, 420), figure(0.251, 1346), None, None],
                },
            ],
        },
        models: vec![
            ModelLine {
                kind: ModelKind::Here,
                name: "smollm2-135m".into(),
                title: "SmolLM2 135M Instruct".into(),
                bytes: 91 << 20,
                licence: "Apache-2.0".into(),
                ..ModelLine::default()
            },
            ModelLine {
                kind: ModelKind::Adapter,
                name: "聚宝盆".into(),
                bytes: 3 << 20,
                base: "smollm2-135m".into(),
                template: "chatml".into(),
                rank: Some(8),
                data: "finance-zh@3".into(),
                ..ModelLine::default()
            },
            ModelLine {
                kind: ModelKind::Catalogue,
                name: "gemma3-270m".into(),
                title: "Gemma 3 270M".into(),
                bytes: 250 << 20,
                licence: "Gemma".into(),
                ..ModelLine::default()
            },
        ],
        jobs: vec![
            job("job-20261124-112000-aaaa", JobState::Running),
            job("job-20261124-101500-bbbb", JobState::Failed),
            JobLine {
                title: "run finance --model smollm2-135m --adapter 聚宝盆".into(),
                ..job("job-20261123-090000-cccc", JobState::Finished)
            },
        ],
        forecast: ForecastView {
            place: "cpu".into(),
            memory: Some(1_310_000_000),
            free: Some(18_200_000_000),
            fits: true,
            steps: Some(3000),
            seconds: Some(725.0),
            speed: Some((830.4, "train-20261124-112000-cccc".into())),
        },
        log: "loading the model\nstep 1: loss 3.21\n\u{1b}[32mstep 2\u{1b}[0m: 损失 3.01\rstep 3: 损失 2.87\n".into(),
        ..Fake::default()
    }
}

/// The interface with a made-up source.
pub struct Driver {
    pub app: App,
    pub source: Fake,
}

impl Driver {
    pub fn new(source: Fake) -> Driver {
        Driver::launching(source, false)
    }

    /// With a source that has not answered yet.
    pub fn unanswered() -> Driver {
        Driver::begun(Fake::default(), Commands::default())
    }

    fn begun(source: Fake, commands: Commands) -> Driver {
        let toured = Preferences { toured: true, ..Preferences::default() };
        Driver { app: App::new(toured, commands, NOW).with_theme(Theme::new(true)), source }
    }

    /// With a say in whether jobs can be started. It begins on the datasets, the first steps done.
    pub fn launching(source: Fake, launches: bool) -> Driver {
        let mut driver = Driver::begun(source, if launches { verbs() } else { Commands::default() });
        driver.settle();
        driver.press("2");
        driver
    }

    /// Answers questions until there is none.
    pub fn settle(&mut self) {
        for _ in 0..50 {
            let queries = self.app.take_queries();
            if queries.is_empty() {
                return;
            }
            for query in queries {
                self.app.receive(answer(&mut self.source, query));
            }
        }
        panic!("the interface never stops asking: {:?}", self.source.asked.last());
    }

    /// Presses keys: a letter stands for itself, names in angle brackets for the others.
    pub fn press(&mut self, keys: &str) -> &mut Driver {
        for key in keys.split(' ') {
            let (code, ctrl) = match key {
                "<enter>" => (KeyCode::Enter, false),
                "<esc>" => (KeyCode::Esc, false),
                "<tab>" => (KeyCode::Tab, false),
                "<backtab>" => (KeyCode::BackTab, false),
                "<down>" => (KeyCode::Down, false),
                "<end>" => (KeyCode::End, false),
                "<pagedown>" => (KeyCode::PageDown, false),
                "<backspace>" => (KeyCode::Backspace, false),
                "<ctrl-c>" => (KeyCode::Char('c'), true),
                "<ctrl-n>" => (KeyCode::Char('n'), true),
                "<ctrl-b>" => (KeyCode::Char('b'), true),
                "<up>" => (KeyCode::Up, false),
                "<left>" => (KeyCode::Left, false),
                "<ctrl-o>" => (KeyCode::Char('o'), true),
                letter => (KeyCode::Char(letter.chars().next().unwrap()), false),
            };
            let modifiers = if ctrl { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
            self.app.key(KeyEvent::new(code, modifiers));
            self.settle();
        }
        self
    }

    /// A few seconds pass.
    pub fn wait(&mut self) -> &mut Driver {
        for _ in 0..24 {
            self.app.tick(NOW);
            self.settle();
        }
        self
    }

    /// The frame as text, one line per row.
    pub fn screen(&mut self, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| self.app.draw(frame)).unwrap();
        terminal.draw(|frame| self.app.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let mut rows = Vec::new();
        for y in 0..height {
            let mut row = String::new();
            let mut hidden = 0;
            for x in 0..width {
                let symbol = buffer[(x, y)].symbol();
                if hidden > 0 {
                    // The second half of a wide character: anything else there is lost on the terminal.
                    assert_eq!(symbol, " ", "hidden behind a wide character at {x}, {y}: {row}");
                    hidden -= 1;
                    continue;
                }
                hidden = linly_bench::text::width(symbol).saturating_sub(1);
                row.push_str(symbol);
            }
            assert_eq!(hidden, 0, "a wide character at the right edge: {row}");
            rows.push(row.trim_end().to_owned());
        }
        rows.join("\n")
    }
}
