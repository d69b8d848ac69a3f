//! A form for a verb of the command line: its arguments as fields, looked at while they are typed, and what would be typed
//! on the command line.

mod draw;
mod names;

use super::source::{Choices, ForecastView};
use super::verbs::{Commands, Verb, VerbField};
use super::widgets::{Input, fuzzy};
use crate::error::Result;

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
    /// What names there are; none until that is known.
    choices: Option<Choices>,
    /// What the command line would say of it.
    complaint: Option<String>,
    /// Names that are not there: the field's place in `fields`, and what is said.
    doubts: Vec<(usize, String)>,
    /// Whether the user has tried to submit: until then a missing field is no reproach.
    tried: bool,
    /// What was submitted in spite of a doubt once: the second time it holds.
    warned: Option<Vec<String>>,
    /// What a training of these arguments would take.
    forecast: Option<(Vec<String>, Result<ForecastView>)>,
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
            choices: None,
            complaint: None,
            doubts: Vec::new(),
            tried: false,
            warned: None,
            forecast: None,
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
        self.choices = Some(choices);
        self.look_names_up();
    }

    fn look_names_up(&mut self) {
        let Some(choices) = &self.choices else { return };
        let doubt = |(i, filled): (usize, &Filled)| Some((i, names::doubt(&filled.field, &filled.values(), choices)?));
        self.doubts = self.fields.iter().enumerate().filter_map(doubt).collect();
    }

    /// Place among the shown fields of the first that cannot be left empty and is.
    fn missing(&self) -> Option<usize> {
        let given = |name: &String| self.fields.iter().any(|f| f.field.name == *name && !f.input.is_empty());
        self.shown.iter().position(|&i| {
            let Filled { field, input, .. } = &self.fields[i];
            field.required && input.text().trim().is_empty() && !field.unless.iter().any(given)
        })
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
            return self.choices.as_ref().map_or_else(Vec::new, |c| c.of(filled.field.naming).to_vec());
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
        self.argv_without("")
    }

    /// The same without the field `left_out`.
    fn argv_without(&self, left_out: &str) -> Vec<String> {
        let mut argv = self.verb.path.clone();
        let mut flags = Vec::new();
        let mut places = Vec::new();
        for verb_field in &self.verb.fields {
            let Some(filled) = self.fields.iter().find(|f| f.field.name == verb_field.name) else { continue };
            let typed = filled.input.text();
            let typed = typed.trim();
            let usual = typed == filled.field.default && filled.field.flag.is_some();
            if typed.is_empty() || usual || verb_field.name == left_out {
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

    /// Looks at what was typed anew.
    pub fn check(&mut self, commands: &Commands) {
        self.complaint = (commands.check)(&self.argv());
        self.look_names_up();
    }

    /// The training that a forecast is wanted of, if there is none of it yet and its fields are right. The adapter's name
    /// does not matter to it.
    pub fn wants_forecast(&self) -> Option<Vec<String>> {
        let argv = self.forecastable()?;
        (self.forecast.as_ref().map(|(of, _)| of) != Some(&argv)).then_some(argv)
    }

    fn forecastable(&self) -> Option<Vec<String>> {
        let given = |name: &str| self.fields.iter().any(|f| f.field.name == name && !f.input.is_empty());
        let right = self.verb.name() == "train" && given("model") && !given("resume") && !given("plan");
        let sound = self.choices.is_some() && self.doubts.is_empty() && self.complaint.is_none();
        (right && sound).then(|| self.argv_without("adapter"))
    }

    /// Takes a forecast.
    pub fn take_forecast(&mut self, argv: Vec<String>, forecast: Result<ForecastView>) {
        self.forecast = Some((argv, forecast));
    }

    /// The job that was described; what is missing or in doubt gets the focus. A doubt holds it up once.
    pub fn submit(&mut self, commands: &Commands) -> Option<Vec<String>> {
        self.tried = true;
        if let Some(missing) = self.missing() {
            self.focus = missing;
            return None;
        }
        self.check(commands);
        if self.complaint.is_some() {
            return None;
        }
        let argv = self.argv();
        if let Some((i, _)) = self.doubts.first()
            && self.warned.as_ref() != Some(&argv)
        {
            self.focus = self.shown.iter().position(|shown| shown == i).unwrap_or(self.focus);
            self.warned = Some(argv);
            return None;
        }
        Some(argv)
    }
}

impl Filled {
    /// What is typed, word by word where it takes several.
    fn values(&self) -> Vec<String> {
        let typed = self.input.text();
        let typed = typed.trim();
        match self.field.many {
            true => words(typed),
            false if typed.is_empty() => Vec::new(),
            false => vec![typed.to_owned()],
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

    #[test]
    fn a_name_that_is_not_there_holds_the_form_up_once() {
        let mut form = Form::new(&verb(), &[("paths".into(), "x".into()), ("name".into(), "n".into())]);
        type_into(&mut form, "format", "alpacca");
        form.offer(Choices { datasets: vec!["alpaca".into()], ..Choices::default() });
        form.step(true);
        assert_eq!(form.submit(&Commands::default()), None);
        assert_eq!(form.focused().map(|f| f.field.name.as_str()), Some("format"));
        assert!(form.submit(&Commands::default()).is_some(), "it may be there by the time the work begins");
        type_into(&mut form, "format", "alpaccca");
        assert_eq!(form.submit(&Commands::default()), None, "another name is another doubt");
        type_into(&mut form, "format", "alpaca");
        assert!(form.submit(&Commands::default()).is_some());
    }

    #[test]
    fn what_another_field_makes_needless_may_be_left_out() {
        let mut verb = verb();
        verb.fields[1].unless = vec!["format".into()];
        let mut form = Form::new(&verb, &[("paths".into(), "x".into())]);
        assert_eq!(form.submit(&Commands::default()), None);
        type_into(&mut form, "format", "from-a-file");
        assert!(form.submit(&Commands::default()).is_some());
    }

    #[test]
    fn a_forecast_is_wanted_once_for_the_same_training() {
        let field = |name: &str| VerbField {
            name: name.into(),
            flag: Some(format!("--{name}")),
            valued: true,
            naming: if name == "model" { Naming::Model } else { Naming::Nothing },
            ..VerbField::default()
        };
        let fields = ["model", "adapter", "rank"].map(field).to_vec();
        let train = Verb { path: vec!["train".into()], about: String::new(), fields };
        let mut form = Form::new(&train, &[]);
        form.offer(Choices { models: vec!["tiny".into()], ..Choices::default() });
        assert_eq!(form.wants_forecast(), None, "of which model?");
        type_into(&mut form, "model", "tin");
        form.check(&Commands::default());
        assert_eq!(form.wants_forecast(), None, "there is none of that name");
        type_into(&mut form, "model", "tiny");
        form.check(&Commands::default());
        let argv = form.wants_forecast().unwrap();
        form.take_forecast(argv, Ok(ForecastView::default()));
        type_into(&mut form, "adapter", "mine");
        form.check(&Commands::default());
        assert_eq!(form.wants_forecast(), None, "the adapter's name changes nothing");
        type_into(&mut form, "rank", "64");
        form.check(&Commands::default());
        assert_eq!(
            form.wants_forecast(),
            Some(["train", "--model", "tiny", "--rank", "64"].map(String::from).to_vec())
        );
    }
}
