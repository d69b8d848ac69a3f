//! The records of the arena: questions, battles, and who won.

use serde::{Deserialize, Serialize};

/// How a battle ended. The spelling is that of the battle format; nothing else is a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Winner {
    /// The answer on the left is better.
    #[serde(rename = "model_a")]
    A,
    /// The answer on the right is better.
    #[serde(rename = "model_b")]
    B,
    /// Both are equally good.
    #[serde(rename = "tie")]
    Tie,
    /// Neither is any good.
    #[serde(rename = "tie (bothbad)")]
    BothBad,
}

impl Winner {
    /// The label in files and in the database.
    pub fn label(self) -> &'static str {
        match self {
            Winner::A => "model_a",
            Winner::B => "model_b",
            Winner::Tie => "tie",
            Winner::BothBad => "tie (bothbad)",
        }
    }

    /// Reads a label; `None` for anything but the four.
    pub fn from_label(label: &str) -> Option<Winner> {
        [Winner::A, Winner::B, Winner::Tie, Winner::BothBad].into_iter().find(|w| w.label() == label)
    }

    /// Reads a vote as people give it (`A`, `B`, `tie`, `both_bad`, any case), or a label.
    pub fn from_vote(vote: &str) -> Option<Winner> {
        match vote.trim().to_lowercase().as_str() {
            "a" => Some(Winner::A),
            "b" => Some(Winner::B),
            "t" | "tie" => Some(Winner::Tie),
            "x" | "both_bad" | "bothbad" => Some(Winner::BothBad),
            other => Winner::from_label(other),
        }
    }

    /// Points of the left side: 1, 0, or ½ for both kinds of tie.
    pub fn points_a(self) -> f64 {
        match self {
            Winner::A => 1.0,
            Winner::B => 0.0,
            Winner::Tie | Winner::BothBad => 0.5,
        }
    }

    /// The same outcome with the sides exchanged.
    #[must_use]
    pub fn swapped(self) -> Winner {
        match self {
            Winner::A => Winner::B,
            Winner::B => Winner::A,
            other => other,
        }
    }
}

/// A question that contestants are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Its id, unique in its arena.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// A known good answer for the reference judge; empty when there is none.
    pub reference: String,
    /// `zh` or `en`.
    pub language: String,
}

/// One question answered by two models.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Battle {
    /// Number in the database; 0 until it is stored.
    pub id: i64,
    /// The run that played or imported it.
    pub run_id: String,
    /// Id of the question.
    pub question_id: String,
    /// The question (the first turn of an imported conversation).
    pub question: String,
    /// Shown on the left.
    pub model_a: String,
    /// Shown on the right.
    pub model_b: String,
    /// Reply of the left (to the first turn).
    pub answer_a: String,
    /// Reply of the right (to the first turn).
    pub answer_b: String,
    /// An imported conversation of the left that is more than one question and one reply, as JSON; else empty.
    pub conversation_a: String,
    /// The same of the right.
    pub conversation_b: String,
    /// The vote; `None` while it is waited for.
    pub winner: Option<Winner>,
    /// `human`, `reference`, or the name in an imported file; empty before the vote.
    pub judge: String,
    /// Whether the voter did not know the names.
    pub anony: bool,
    /// Language of the question; may be empty in imported files.
    pub language: String,
    /// Turns of the conversation.
    pub turn: u32,
    /// Why it does not rate although it was voted on; empty when it does.
    pub flagged: String,
    /// When it was played, RFC 3339 in UTC.
    pub tstamp: String,
}

impl Battle {
    /// Whether its vote counts: there is one, it was blind, no reply gave its model away, and it was not a model
    /// against itself.
    pub fn rates(&self) -> bool {
        self.winner.is_some() && self.anony && self.flagged.is_empty() && self.model_a != self.model_b
    }
}

/// `zh` when `text` holds a Chinese character, else `en`.
pub fn language_of(text: &str) -> &'static str {
    if text.chars().any(is_han) { "zh" } else { "en" }
}

/// Whether `c` is a Chinese character (the unified ideographs and extension A, which all finance text stays in).
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_labels_and_no_other() {
        for winner in [Winner::A, Winner::B, Winner::Tie, Winner::BothBad] {
            assert_eq!(Winner::from_label(winner.label()), Some(winner));
            assert_eq!(serde_json::to_string(&winner).unwrap(), format!("{:?}", winner.label()));
            assert_eq!(winner.swapped().swapped(), winner);
            assert!((winner.points_a() + winner.swapped().points_a() - 1.0).abs() < f64::EPSILON);
        }
        for wrong in ["", "A", "Model_A", "tie(bothbad)", "both_bad", "draw", "model_a "] {
            assert_eq!(Winner::from_label(wrong), None, "{wrong}");
        }
        assert_eq!(Winner::from_vote(" B\n"), Some(Winner::B));
        assert_eq!(Winner::from_vote("both_bad"), Some(Winner::BothBad));
        assert_eq!(Winner::from_vote("tie (bothbad)"), Some(Winner::BothBad));
        assert_eq!(Winner::from_vote("left"), None);
    }

    #[test]
    fn only_a_blind_clean_vote_between_two_models_rates() {
        let battle = Battle {
            model_a: "a".into(),
            model_b: "b".into(),
            winner: Some(Winner::A),
            anony: true,
            ..Battle::default()
        };
        assert!(battle.rates());
        assert!(!Battle { winner: None, ..battle.clone() }.rates());
        assert!(!Battle { anony: false, ..battle.clone() }.rates());
        assert!(!Battle { flagged: "names itself".into(), ..battle.clone() }.rates());
        assert!(!Battle { model_b: "a".into(), ..battle }.rates());
    }
}
