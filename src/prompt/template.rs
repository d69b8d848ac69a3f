//! The templates by name, and the exact texts of those that are not the model's own.

use crate::error::{Error, Kind, Result};
use crate::tr;
use std::str::FromStr;

/// How a conversation becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Template {
    /// The model's own chat template.
    Chat,
    /// Stanford Alpaca, with and without input.
    Alpaca,
    /// Linly's fine-tuning code: `### Instruction:{instruction}{input}### Response:`. The model was
    /// trained on this form, so it is the default of the two.
    Linly,
    /// Linly's model card: `### Instruction:{prompt}  ### Response:`, with two blanks.
    LinlyCard,
    /// Linly's chat form: `User: {prompt}`, a new line, `Bot: `.
    LinlyChat,
    /// Cornucopia (聚宝盆), Chinese finance questions.
    Cornucopia,
}

impl Template {
    /// Every template.
    pub const ALL: [Template; 6] = [
        Template::Chat,
        Template::Alpaca,
        Template::Linly,
        Template::LinlyCard,
        Template::LinlyChat,
        Template::Cornucopia,
    ];

    /// Its name on the command line and in provenance.
    pub fn name(self) -> &'static str {
        match self {
            Template::Chat => "chat",
            Template::Alpaca => "alpaca",
            Template::Linly => "linly",
            Template::LinlyCard => "linly-card",
            Template::LinlyChat => "linly-chat",
            Template::Cornucopia => "cornucopia",
        }
    }

    /// What it is, in one line.
    pub fn describe(self) -> String {
        match self {
            Template::Chat => tr!("the model's own chat template", "模型自带的对话模板"),
            Template::Alpaca => tr!("Stanford Alpaca, with and without input", "Stanford Alpaca（含或不含 input）"),
            Template::Linly => tr!("Linly's fine-tuning code", "Linly 微调代码所用格式"),
            Template::LinlyCard => {
                tr!("Linly's model card (two blanks before the response)", "Linly 模型卡格式（回答前有两个空格）")
            }
            Template::LinlyChat => tr!("Linly's User/Bot form", "Linly 的 User/Bot 对话格式"),
            Template::Cornucopia => tr!("Cornucopia, Chinese finance questions", "聚宝盆（中文金融问答）"),
        }
    }

    /// Its texts; `None` for the model's own template.
    pub(super) fn layout(self) -> Option<&'static Layout> {
        match self {
            Template::Chat => None,
            Template::Alpaca => Some(&ALPACA),
            Template::Linly => Some(&LINLY),
            Template::LinlyCard => Some(&LINLY_CARD),
            Template::LinlyChat => Some(&LINLY_CHAT),
            Template::Cornucopia => Some(&CORNUCOPIA),
        }
    }
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(name: &str) -> Result<Template> {
        Template::ALL.into_iter().find(|t| t.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Template::ALL.iter().map(|t| t.name()).collect();
            Error::new(Kind::InvalidInput, tr!("no template `{name}`", "没有模板 `{name}`")).hint(tr!(
                "use one of: {}",
                "可用：{}",
                names.join(", ")
            ))
        })
    }
}

/// The texts of a template. A conversation is
/// `preamble turn answer EOS (between turn answer EOS)…`, and a turn is
/// `before instruction [join input] after`.
#[derive(Debug)]
pub(super) struct Layout {
    /// Opens the conversation; a row's own system message stands in its place.
    pub preamble: &'static str,
    /// Opens it when the first turn has an input.
    pub preamble_with_input: &'static str,
    /// Follows a preamble or system message.
    pub after_preamble: &'static str,
    /// Opens a turn.
    pub before: &'static str,
    /// Between instruction and input. The input is never lost, not even by templates whose authors forgot it.
    pub join: &'static str,
    /// Between the question and the answer.
    pub after: &'static str,
    /// Between an answer's end and the next turn.
    pub between: &'static str,
}

const ALPACA: Layout = Layout {
    preamble: "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    preamble_with_input: "Below is an instruction that describes a task, paired with an input that provides further context. \
                          Write a response that appropriately completes the request.",
    after_preamble: "\n\n",
    before: "### Instruction:\n",
    join: "\n\n### Input:\n",
    after: "\n\n### Response:",
    between: "\n\n",
};

const LINLY: Layout = Layout {
    preamble: "",
    preamble_with_input: "",
    after_preamble: "\n",
    before: "### Instruction:",
    join: "",
    after: "### Response:",
    between: "",
};

const LINLY_CARD: Layout = Layout { join: "\n", after: "  ### Response:", between: "\n", ..LINLY };

const LINLY_CHAT: Layout = Layout { before: "User: ", join: "\n", after: "\nBot: ", between: "\n", ..LINLY };

const CORNUCOPIA: Layout = Layout {
    preamble: "下面是一个问题，运用金融财经知识来正确回答问题.",
    preamble_with_input: "下面是一个问题，运用金融财经知识来正确回答问题.",
    after_preamble: "\n",
    before: "### 问题:\n",
    join: "\n",
    after: "\n### 回答:\n",
    between: "\n",
};
