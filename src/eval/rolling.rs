//! Perplexity of texts: every token's probability, in windows that follow one another (lm-evaluation-harness's
//! `loglikelihood_rolling`).

use super::encode::opening_token;
use super::report::Ordered;
use super::runner::ItemOutcome;
use super::summary::MetricScore;
use crate::error::{Error, Result};
use crate::infer::{LanguageModel, ScoreRequest};
use crate::job::CancelToken;
use crate::prompt::Tokenize;

/// Window where neither the model nor the definition says one.
const WINDOW: usize = 2048;

/// Splits `tokens` into windows of at most `longest` predicted tokens. The first is predicted from `prefix`, every
/// other one from the token before it, and a last, shorter one from as many tokens before it as fill the window.
pub fn windows(tokens: &[u32], prefix: u32, longest: usize) -> Vec<ScoreRequest> {
    let longest = longest.max(1);
    let mut found = Vec::new();
    let mut start = 0;
    while start < tokens.len() {
        let end = (start + longest).min(tokens.len());
        let context = match start {
            0 => vec![prefix],
            // The window holds `longest` inputs: the last predicted token is none of them.
            _ => tokens[end.saturating_sub(longest + 1)..start].to_vec(),
        };
        found.push(ScoreRequest { context, continuations: vec![tokens[start..end].to_vec()] });
        start = end;
    }
    found
}

/// Summed natural-log probability of `text`, in windows of at most `longest` tokens, as many as the model takes, and
/// the number of its tokens.
///
/// # Errors
/// Those of the tokenizer and the model.
pub fn loglikelihood(
    text: &str,
    longest: Option<usize>,
    model: &dyn LanguageModel,
    tokenizer: &dyn Tokenize,
    cancel: &CancelToken,
) -> Result<(f64, u64)> {
    let limit = model.max_length().unwrap_or(WINDOW);
    let windows = windows(
        &tokenizer.encode(text, true)?,
        opening_token(tokenizer)?,
        longest.map_or(limit, |longest| longest.min(limit)),
    );
    let (mut sum, mut tokens) = (0.0, 0);
    for window in &windows {
        tokens += window.continuations.first().map_or(0, Vec::len) as u64;
        let answer = model.loglikelihoods(std::slice::from_ref(window), &mut |_| (), cancel)?;
        let ll = answer.first().and_then(|lls| lls.first());
        sum += ll.ok_or_else(|| Error::internal("no answer for a window"))?;
    }
    Ok((sum, tokens))
}

/// Word and byte perplexity, and bits per byte, of one text.
pub fn text_perplexity(outcome: &ItemOutcome) -> Ordered<MetricScore> {
    summary(std::slice::from_ref(outcome))
}

/// Word and byte perplexity, and bits per byte, over all texts together.
pub fn summary(outcomes: &[ItemOutcome]) -> Ordered<MetricScore> {
    let sum: f64 = outcomes.iter().flat_map(|o| &o.loglikelihoods).sum();
    // Python's `re.split(r"\s+", text)`: white space at an end leaves an empty word there.
    let count = |text: &str| {
        let inner = text.split_whitespace().count();
        let edge = |c: Option<char>| usize::from(c.is_some_and(char::is_whitespace));
        if inner == 0 { 2 } else { inner + edge(text.chars().next()) + edge(text.chars().next_back()) }
    };
    let words: usize = outcomes.iter().map(|o| count(&o.prompt)).sum();
    let bytes: usize = outcomes.iter().map(|o| o.prompt.len()).sum();
    let per_byte = -sum / bytes as f64;
    let values = [
        ("word_perplexity", (-sum / words as f64).exp()),
        ("byte_perplexity", per_byte.exp()),
        ("bits_per_byte", per_byte / std::f64::consts::LN_2),
    ];
    let score = |value| MetricScore { value, stderr: None, unanswered: None };
    Ordered(values.into_iter().map(|(name, value)| (name.to_owned(), score(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_one_another_and_predict_every_token_once() {
        let request = |context: &[u32], next: &[u32]| ScoreRequest {
            context: context.to_vec(),
            continuations: vec![next.to_vec()],
        };
        // By hand: ten tokens in windows of four; the last predicts two, from the three tokens before them.
        let tokens: Vec<u32> = (10..20).collect();
        assert_eq!(
            windows(&tokens, 1, 4),
            [request(&[1], &[10, 11, 12, 13]), request(&[13], &[14, 15, 16, 17]), request(&[15, 16, 17], &[18, 19]),]
        );
        assert_eq!(windows(&tokens[..3], 1, 4), [request(&[1], &[10, 11, 12])]);
        assert_eq!(windows(&[], 1, 4), []);
        for (n, longest) in [(1, 1), (7, 1), (7, 3), (9, 3), (100, 7), (5, 100)] {
            let tokens: Vec<u32> = (0..n).collect();
            let found = windows(&tokens, 999, longest);
            let predicted: Vec<u32> = found.iter().flat_map(|w| w.continuations[0].clone()).collect();
            assert_eq!(predicted, tokens);
            for window in &found {
                // The inputs: context and all but the last predicted token.
                assert!(window.context.len() + window.continuations[0].len() - 1 <= longest);
                assert!(!window.context.is_empty());
            }
        }
    }

    #[test]
    fn numbers_by_hand() {
        let outcome = |prompt: &str, ll: f64| ItemOutcome {
            prompt: prompt.into(),
            loglikelihoods: vec![ll],
            ..ItemOutcome::default()
        };
        let ln2 = std::f64::consts::LN_2;
        // 3 words and 5 bytes; 1 word and 3 bytes: 8 bytes of 16 bits together.
        let scores = summary(&[outcome("a b c", -10.0 * ln2), outcome("净", -6.0 * ln2)]);
        let value = |name: &str| scores.0.iter().find(|(n, _)| n == name).unwrap().1.value;
        assert!((value("bits_per_byte") - 2.0).abs() < 1e-12);
        assert!((value("byte_perplexity") - 4.0).abs() < 1e-12);
        assert!((value("word_perplexity") - 16.0).abs() < 1e-9);
        // Python: len(re.split(r"\s+", " a\n")) == 3, of "" it is 1 and of " " it is 2.
        let scores = summary(&[outcome(" a\n", -3.0 * ln2)]);
        assert!((scores.0[0].1.value - 2.0).abs() < 1e-12);
    }
}
