//! Forms as lines of the command line, and what is said of their fields.

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
    assert_eq!(form.wants_forecast(), Some(["train", "--model", "tiny", "--rank", "64"].map(String::from).to_vec()));
}
