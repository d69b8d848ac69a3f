//! The prompt of an item: description, few-shots, question, and the continuations that are scored.
//! In plain text it equals lm-evaluation-harness's to the byte; as a conversation the description is
//! the system message and each shot a turn.

use super::definition::{ChoiceStyle, Preset, Subject};
use super::item::Item;
use super::table::Row;
use crate::error::{Error, Kind, Result};
use crate::prompt::{Message, Role};
use crate::tr;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Renders a conversation with the opening of the model's turn at its end.
pub type ChatRenderer<'a> = dyn Fn(&[Message]) -> Result<String> + 'a;

/// What a model is asked about one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Everything before the answer.
    pub text: String,
    /// What is scored after it, one per choice.
    pub continuations: Vec<String>,
}

impl Prompt {
    /// SHA-256 over the prompt and its continuations, in hex. Each part is preceded by its length, so
    /// that no two different prompts run together into the same bytes.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for part in std::iter::once(&self.text).chain(&self.continuations) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hex(&hasher.finalize())
    }
}

/// Bytes as lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Makes the prompts of one subject.
pub struct Prompter<'a> {
    preset: &'a Preset,
    chat: Option<&'a ChatRenderer<'a>>,
    env: Environment<'static>,
    subject: Row,
    description: String,
    /// Whether the answer is written: then nothing is scored after the prompt.
    written: bool,
}

/// What stands before the asked item: description and shots, as text or as turns.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    text: String,
    turns: Vec<Message>,
}

impl<'a> Prompter<'a> {
    /// Prepares what all items of `subject` share. With `chat` the prompts are conversations.
    ///
    /// # Errors
    /// `InvalidInput` when the description uses a name that the subject does not have.
    pub fn new(
        preset: &'a Preset,
        subject: &Subject,
        written: bool,
        chat: Option<&'a ChatRenderer<'a>>,
    ) -> Result<Prompter<'a>> {
        let mut env = environment();
        let target = preset.target.as_ref().map(|target| ("target", target));
        for (field, template) in
            [("description", &preset.description), ("body", &preset.body)].into_iter().chain(target)
        {
            env.add_template_owned(field, template.clone()).map_err(|e| template_error(preset, field, "", &e))?;
        }
        let text = |s: &str| Value::String(s.to_owned());
        let subject = Row::from_iter([
            ("subject".to_owned(), text(&subject.title)),
            ("handle".to_owned(), text(&subject.handle)),
            ("category".to_owned(), text(&subject.category)),
            ("lang".to_owned(), text(&subject.lang)),
        ]);
        let mut prompter = Prompter { preset, chat, env, subject, description: String::new(), written };
        prompter.description = prompter.render("description", &prompter.subject, "")?;
        Ok(prompter)
    }

    /// Description and `shots`.
    ///
    /// # Errors
    /// `InvalidInput` when a template uses a column that a shot does not have.
    pub fn open(&self, shots: &[&Item]) -> Result<Opening> {
        let mut opening = Opening { text: self.description.clone(), turns: Vec::new() };
        if !self.description.is_empty() {
            opening.turns.push(Message::new(Role::System, self.description.clone()));
        }
        for shot in shots {
            let (body, answer) = (self.body(shot)?, self.target(shot)?);
            for part in [&body, &self.preset.target_delimiter, &answer, &self.preset.fewshot_delimiter] {
                opening.text.push_str(part);
            }
            opening.turns.push(Message::new(Role::User, body));
            opening.turns.push(Message::new(Role::Assistant, answer));
        }
        Ok(opening)
    }

    /// The prompt of `item` after `opening`.
    ///
    /// # Errors
    /// `InvalidInput` when a template uses a column that the item does not have, or there are more
    /// choices than labels; whatever the chat renderer says.
    pub fn prompt(&self, opening: &Opening, item: &Item) -> Result<Prompt> {
        let body = self.body(item)? + &self.preset.lead;
        let answers = if self.written { Vec::new() } else { self.answers(item)? };
        Ok(match self.chat {
            None => Prompt {
                text: format!("{}{body}", opening.text),
                continuations: answers.iter().map(|a| format!("{}{a}", self.preset.target_delimiter)).collect(),
            },
            Some(render) => {
                let mut turns = opening.turns.clone();
                turns.push(Message::new(Role::User, body));
                Prompt { text: render(&turns)?, continuations: answers }
            }
        })
    }

    /// The right answer of `item` as a shot shows it.
    ///
    /// # Errors
    /// `InvalidInput` when the template uses a column that the item does not have.
    pub fn target(&self, item: &Item) -> Result<String> {
        let label = match item.gold {
            Some(gold) => self.answers(item)?.get(gold).cloned().unwrap_or_default(),
            None => item.texts.first().cloned().unwrap_or_default(),
        };
        if self.preset.target.is_none() {
            return Ok(label);
        }
        let mut fields = self.fields(item);
        let choice = item.gold.and_then(|gold| item.choices.get(gold)).cloned().unwrap_or_default();
        fields.insert("label".to_owned(), Value::String(label));
        fields.insert("choice".to_owned(), Value::String(choice));
        self.render("target", &fields, &item.id)
    }

    fn body(&self, item: &Item) -> Result<String> {
        self.render("body", &self.fields(item), &item.id)
    }

    /// What templates may use.
    fn fields(&self, item: &Item) -> Row {
        let mut fields = self.subject.clone();
        fields.insert("choices".to_owned(), item.choices.iter().map(|c| Value::String(c.clone())).collect());
        fields.extend(item.row.iter().map(|(name, value)| (name.clone(), value.clone())));
        fields
    }

    fn answers(&self, item: &Item) -> Result<Vec<String>> {
        match self.preset.choice_style {
            ChoiceStyle::Text => Ok(item.choices.clone()),
            ChoiceStyle::Letter => {
                let labels = self.preset.labels.get(..item.choices.len()).ok_or_else(|| {
                    Error::new(
                        Kind::InvalidInput,
                        tr!(
                            "item {}: {} choices, but the preset `{}` has {} labels",
                            "题目 {}：有 {} 个选项，但预设 `{}` 只有 {} 个标签",
                            item.id,
                            item.choices.len(),
                            self.preset.name,
                            self.preset.labels.len()
                        ),
                    )
                    .hint(tr!("add labels to the preset", "请在预设中增加标签（labels）"))
                })?;
                Ok(labels.to_vec())
            }
        }
    }

    fn render(&self, field: &str, values: &Row, item: &str) -> Result<String> {
        self.env
            .get_template(field)
            .and_then(|template| template.render(Serde(values)))
            .map_err(|e| template_error(self.preset, field, item, &e))
    }
}

/// The value of a template over `row`: of a single `{{…}}` whatever it is, of any other its text.
///
/// # Errors
/// What is wrong with it.
pub(super) fn evaluate(template: &str, row: &Row) -> Result<Value, String> {
    thread_local! {
        static ENVIRONMENT: Environment<'static> = environment();
    }
    let single = template.trim().strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).filter(|t| !t.contains("{{"));
    ENVIRONMENT.with(|env| match single {
        Some(expression) => {
            let value = env.compile_expression(expression).and_then(|e| e.eval(Serde(row)));
            value.map_err(|e| e.to_string()).and_then(|v| serde_json::to_value(v).map_err(|e| e.to_string()))
        }
        None => env.render_str(template, Serde(row)).map(Value::String).map_err(|e| e.to_string()),
    })
}

/// What is wrong with a template, before any item is at hand.
pub(super) fn check_template(template: &str) -> Result<(), String> {
    environment().add_template_owned("template", template.to_owned()).map_err(|e| e.to_string())
}

/// Jinja as lm-evaluation-harness sets it up: unknown names are errors, a final newline stays,
/// strings have Python's methods.
fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    // Only odd delimiters make this fail, and these are the usual ones.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        env.set_syntax(syntax);
    }
    env.set_unknown_method_callback(python_method);
    env
}

/// Methods of Python's values: those of the crate for it, and the place of an entry in a list.
fn python_method(
    state: &mut minijinja::State<'_, '_>,
    value: &minijinja::Value,
    method: &str,
    args: &[minijinja::Value],
) -> Result<minijinja::Value, minijinja::Error> {
    match (method, args) {
        ("index", [wanted]) if value.kind() == ValueKind::Seq => {
            let place = value.try_iter()?.position(|entry| entry == *wanted);
            let missing = || {
                minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, format!("{wanted} is not in the list"))
            };
            place.map(minijinja::Value::from).ok_or_else(missing)
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn template_error(preset: &Preset, field: &str, item: &str, error: &minijinja::Error) -> Error {
    Error::new(
        Kind::InvalidInput,
        tr!(
            "preset `{}`, {field}, item `{item}`: {error}",
            "预设 `{}` 的 {field}，题目 `{item}`：{error}",
            preset.name
        ),
    )
    .hint(tr!(
        "a template may use the item's columns, `choices`, `subject`, `handle`, `category` and `lang`",
        "模板可使用题目的各列以及 `choices`、`subject`、`handle`、`category`、`lang`"
    ))
}
