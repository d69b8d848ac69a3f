//! A form for a verb of the command line: its arguments as fields, the line that would be typed below them.

use super::source::Choices;
use super::theme::Role;
use super::verbs::{Commands, Verb, VerbField};
use super::widgets::{Input, Paint, fuzzy, popup};
use crate::text;
use crate::tr;
use ratatui::layout::Rect;

/// A form that a screen wants filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormRequest {
    /// The verb: `data import`.
    pub verb: String,
    /// Fields with a value to begin with.
    pub values: Vec<(String, String)>,
}

impl FormRequest {
    /// A form for `verb` with some fields filled in.
    pub fn new(verb: &str, values: &[(&str, &str)]) -> FormRequest {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        FormRequest { verb: verb.to_owned(), values }
    }
}

/// The fields that are asked for first; the others wait behind a key. A verb that is not here shows
/// what it requires and its first few.
const USUAL: &[(&str, &[&str])] = &[
    ("train", &["model", "data", "adapter", "epochs", "steps", "rank", "lr", "batch-size", "max-len", "val"]),
    ("pretrain", &["model", "data", "adapter", "epochs", "steps", "rank", "lr", "max-len"]),
    ("run", &["benchmarks", "model", "adapter", "shots", "limit", "mode", "subjects"]),
    ("data import", &["paths", "name", "format", "map", "licence", "source"]),
    ("arena battle", &["name", "model", "against", "limit"]),
];

/// Fields shown of a verb that has no list of its own.
const FIRST: usize = 8;

#[derive(Clone, Debug)]
struct Filled {
    field: VerbField,
    input: Input,
    usual: bool,
}

/// A form being filled in.
#[derive(Clone, Debug)]
pub struct Form {
    verb: Verb,
    fields: Vec<Filled>,
    /// Places in `fields` of those that are shown.
    shown: Vec<usize>,
    focus: usize,
    all: bool,
    choices: Choices,
    complaint: Option<String>,
    /// Whether the user has tried to submit: until then a missing field is no reproach.
    tried: bool,
}

impl Form {
    /// The form for `verb`, begun with `values`.
    pub fn new(verb: &Verb, values: &[(String, String)]) -> Form {
        let name = verb.name();
        let usual = USUAL.iter().find(|(verb, _)| *verb == name).map(|(_, fields)| *fields);
        let order = |field: &VerbField| match usual {
            Some(usual) => usual.iter().position(|n| *n == field.name).unwrap_or(usize::MAX),
            None => usize::from(!field.required),
        };
        let mut sorted: Vec<&VerbField> = verb.fields.iter().collect();
        sorted.sort_by_key(|field| order(field));
        let fields = sorted.into_iter().enumerate().map(|(i, field)| {
            let value = values.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value.clone());
            let usual = match usual {
                Some(_) => order(field) != usize::MAX || field.required,
                None => i < FIRST || field.required,
            };
            Filled {
                field: field.clone(),
                usual: usual || value.is_some(),
                input: Input::new(value.unwrap_or_default()),
            }
        });
        let mut form = Form {
            verb: verb.clone(),
            fields: fields.collect(),
            shown: Vec::new(),
            focus: 0,
            all: false,
            choices: Choices::default(),
            complaint: None,
            tried: false,
        };
        form.choose_shown();
        // The first empty field is where one goes on.
        form.focus = form.shown.iter().position(|&i| form.fields[i].input.is_empty()).unwrap_or(0);
        form
    }

    fn choose_shown(&mut self) {
        self.shown = (0..self.fields.len()).filter(|&i| self.all || self.fields[i].usual).collect();
        self.focus = self.focus.min(self.shown.len().saturating_sub(1));
    }

    /// Shows all fields, or the usual ones again.
    pub fn more(&mut self) {
        for filled in &mut self.fields {
            filled.usual |= !filled.input.is_empty();
        }
        self.all = !self.all;
        self.choose_shown();
    }

    /// What names there are.
    pub fn offer(&mut self, choices: Choices) {
        self.choices = choices;
    }

    /// Moves to the next field, or to the one before.
    pub fn step(&mut self, forward: bool) {
        let n = self.shown.len().max(1);
        self.focus = (self.focus + if forward { 1 } else { n - 1 }) % n;
    }

    fn focused(&self) -> Option<&Filled> {
        self.shown.get(self.focus).and_then(|&i| self.fields.get(i))
    }

    /// The field that is typed into.
    pub fn input(&mut self) -> Option<&mut Input> {
        let i = *self.shown.get(self.focus)?;
        self.fields.get_mut(i).map(|filled| &mut filled.input)
    }

    /// Values for the focused field.
    fn offered(&self) -> Vec<String> {
        let Some(filled) = self.focused() else { return Vec::new() };
        if !filled.field.valued {
            return vec!["yes".to_owned(), String::new()];
        }
        if filled.field.choices.is_empty() {
            return self.choices.of(filled.field.naming).to_vec();
        }
        filled.field.choices.clone()
    }

    /// Puts the next of the values there are to choose from into the field, or the one before; while the
    /// text is the beginning of something, only values like it.
    pub fn choose(&mut self, forward: bool) {
        let offered = self.offered();
        let Some(input) = self.input() else { return };
        let typed = input.text();
        let found = offered.iter().position(|value| *value == typed);
        let next = match found {
            Some(i) if forward => (i + 1) % offered.len(),
            Some(i) => (i + offered.len() - 1) % offered.len(),
            None => match offered.iter().position(|value| fuzzy(&typed, value)) {
                Some(i) => i,
                None => return,
            },
        };
        if let Some(value) = offered.get(next) {
            *input = Input::new(value.clone());
        }
    }

    /// The arguments after the program's name.
    pub fn argv(&self) -> Vec<String> {
        let mut argv = self.verb.path.clone();
        let mut flags = Vec::new();
        let mut places = Vec::new();
        for verb_field in &self.verb.fields {
            let Some(filled) = self.fields.iter().find(|f| f.field.name == verb_field.name) else { continue };
            let typed = filled.input.text();
            let typed = typed.trim();
            if typed.is_empty() || (typed == filled.field.default && filled.field.flag.is_some()) {
                continue;
            }
            match &filled.field.flag {
                None if filled.field.many => places.extend(words(typed)),
                None => places.push(typed.to_owned()),
                Some(flag) if !filled.field.valued => flags.push(flag.clone()),
                Some(flag) if filled.field.many => {
                    for word in words(typed) {
                        flags.push(format!("{flag}={word}"));
                    }
                }
                // With `=` a value may begin with a hyphen.
                Some(flag) if typed.starts_with('-') => flags.push(format!("{flag}={typed}")),
                Some(flag) => flags.extend([flag.clone(), typed.to_owned()]),
            }
        }
        argv.extend(places);
        argv.extend(flags);
        argv
    }

    /// The line that would be typed.
    pub fn line(&self) -> String {
        let words: Vec<String> = self.argv().iter().map(|word| quoted(word)).collect();
        format!("linly-bench {}", words.join(" "))
    }

    /// Looks at what was typed anew.
    pub fn check(&mut self, commands: &Commands) {
        self.complaint = (commands.check)(&self.argv());
    }

    /// The job that was described; what is missing gets the focus.
    pub fn submit(&mut self, commands: &Commands) -> Option<Vec<String>> {
        self.tried = true;
        let missing = self.shown.iter().position(|&i| {
            let filled = &self.fields[i];
            filled.field.required && filled.input.text().trim().is_empty()
        });
        if let Some(missing) = missing {
            self.focus = missing;
            let name = &self.fields[self.shown[missing]].field.name;
            self.complaint = Some(tr!("{name}: fill this in", "{name}：请填写"));
            return None;
        }
        self.check(commands);
        if self.complaint.is_some() { None } else { Some(self.argv()) }
    }

    /// Draws the form over the screen.
    pub fn draw(&self, p: &mut Paint<'_>, area: Rect) {
        let title = format!("{}  {}", self.verb.name(), self.verb.about);
        let height = u16::try_from(self.shown.len()).unwrap_or(8).saturating_add(8);
        let inside = popup(p, area, 96, height, &title);
        let label = |filled: &Filled| format!("{}{}", filled.field.name, if filled.field.required { " *" } else { "" });
        let labels = self.shown.iter().map(|&i| text::width(&label(&self.fields[i]))).max().unwrap_or(0);
        let labels = u16::try_from(labels).unwrap_or(20).min(inside.width / 2);
        // In a low frame the fields around the focus are shown.
        let notes = if inside.height >= 9 { 4 } else { 2 };
        let room = usize::from(inside.height.saturating_sub(notes + 1)).max(1);
        let first = (self.focus + 1).saturating_sub(room);
        for (row, &i) in self.shown.iter().enumerate().skip(first).take(room) {
            let filled = &self.fields[i];
            let y = inside.y + (row - first) as u16;
            let focus = row == self.focus;
            let role = if focus { Role::Accent } else { Role::Dim };
            p.text(inside.x, y, labels, &label(filled), role);
            p.text(inside.x + labels + 1, y, 1, if focus { "▸" } else { ":" }, role);
            let x = inside.x + labels + 3;
            let space = Rect { x, y, width: inside.right().saturating_sub(x), height: 1 };
            if filled.input.is_empty() && !filled.field.default.is_empty() {
                let at = u16::from(focus) * 2;
                p.text(x + at, y, space.width.saturating_sub(at), &filled.field.default, Role::Dim);
            }
            filled.input.draw(p, space, focus);
        }
        let bottom = |up: u16| Rect { y: inside.bottom().saturating_sub(up), height: 1, ..inside };
        let line = |p: &mut Paint<'_>, up: u16, words: &str, role: Role| {
            let at = bottom(up);
            p.text(at.x, at.y, at.width, words, role);
        };
        if notes == 4 {
            line(p, 4, &self.focused().map(|f| f.field.help.clone()).unwrap_or_default(), Role::Plain);
            let offered: Vec<String> = self.offered().into_iter().filter(|v| !v.is_empty()).take(12).collect();
            if !offered.is_empty() {
                line(p, 3, &tr!("Ctrl-N: {}", "Ctrl-N 选择：{}", offered.join("  ")), Role::Dim);
            }
        }
        line(p, 2, &self.line(), Role::Accent);
        match &self.complaint {
            Some(complaint) if self.tried => line(p, 1, complaint, Role::Bad),
            Some(complaint) => line(p, 1, complaint, Role::Dim),
            None => line(p, 1, &tr!("Enter starts it in the background", "回车：在后台启动"), Role::Good),
        }
    }
}

/// Words divided by blanks; quotes keep a word together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A word as a shell wants it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::verbs::Naming;

    fn verb() -> Verb {
        let field = |name: &str, flag: bool, required, many| VerbField {
            name: name.into(),
            flag: flag.then(|| format!("--{name}")),
            required,
            many,
            valued: true,
            ..VerbField::default()
        };
        Verb {
            path: vec!["data".into(), "fetch".into()],
            about: String::new(),
            fields: vec![
                field("paths", false, true, true),
                field("name", true, true, false),
                VerbField { valued: false, ..field("strict", true, false, false) },
                VerbField { default: "auto".into(), naming: Naming::Dataset, ..field("format", true, false, false) },
            ],
        }
    }

    fn type_into(form: &mut Form, name: &str, typed: &str) {
        while form.focused().is_some_and(|f| f.field.name != name) {
            form.step(true);
        }
        if let Some(input) = form.input() {
            *input = Input::new(typed);
        }
    }

    #[test]
    fn a_filled_form_is_the_line_that_would_be_typed() {
        let mut form = Form::new(&verb(), &[]);
        type_into(&mut form, "paths", "a.json 'my file.csv'");
        type_into(&mut form, "name", "聚宝盆");
        type_into(&mut form, "strict", "yes");
        type_into(&mut form, "format", "auto");
        let argv = form.submit(&Commands::default());
        let expected = ["data", "fetch", "a.json", "my file.csv", "--name", "聚宝盆", "--strict"];
        assert_eq!(argv, Some(expected.map(String::from).to_vec()), "a default is not repeated");
        assert_eq!(form.line(), "linly-bench data fetch a.json 'my file.csv' --name 聚宝盆 --strict");
    }

    #[test]
    fn what_is_missing_is_named_and_gets_the_focus() {
        let mut form = Form::new(&verb(), &[("paths".into(), "x".into())]);
        form.step(true);
        form.step(true);
        assert_eq!(form.submit(&Commands::default()), None);
        assert_eq!(form.focused().map(|f| f.field.name.as_str()), Some("name"));
        assert!(form.complaint.is_some());
    }

    #[test]
    fn values_are_chosen_in_turn_or_by_their_beginning() {
        let mut form = Form::new(&verb(), &[]);
        form.offer(Choices { datasets: vec!["finance-zh".into(), "alpaca".into()], ..Choices::default() });
        type_into(&mut form, "format", "alp");
        form.choose(true);
        assert_eq!(form.input().map(|i| i.text()).as_deref(), Some("alpaca"));
        form.choose(true);
        assert_eq!(form.input().map(|i| i.text()).as_deref(), Some("finance-zh"));
        form.choose(false);
        assert_eq!(form.input().map(|i| i.text()).as_deref(), Some("alpaca"));
    }
}
