//! Log-probabilities as servers of the completions protocol give them, and which of them belong to a continuation.
//!
//! With `echo` the answer repeats the prompt token by token. The prompt was sent as text, so the border between context
//! and continuation is a place in the text; a token across it belongs to the continuation. The tokens are laid along
//! the prompt from its end, because servers differ at its beginning: some show the token that opens a sequence, some
//! add a blank.

use serde_json::Value;

/// Why an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It has no log-probabilities, or only those of the generated token.
    Missing,
    /// Its tokens do not spell the prompt.
    Unaligned,
}

/// The first choice of a completion.
pub(super) fn choice(answer: &Value) -> Option<&Value> {
    answer.pointer("/choices/0").filter(|c| c.is_object())
}

/// The generated token and its log-probability.
pub(super) fn generated(answer: &Value) -> Option<(String, f64)> {
    let logprobs = choice(answer)?.get("logprobs")?;
    if let Some(first) = logprobs.pointer("/content/0") {
        return Some((first.get("token")?.as_str()?.to_owned(), first.get("logprob")?.as_f64()?));
    }
    let text = logprobs.pointer("/tokens/0")?.as_str()?.to_owned();
    Some((text, logprobs.pointer("/token_logprobs/0")?.as_f64()?))
}

/// The log-probability of `text` among the likeliest first tokens, in either of the protocol's two layouts.
pub(super) fn among_likeliest(answer: &Value, text: &str) -> Option<f64> {
    let logprobs = choice(answer)?.get("logprobs")?;
    if let Some(list) = logprobs.pointer("/content/0/top_logprobs").and_then(Value::as_array) {
        let found = list.iter().find(|t| t.get("token").and_then(Value::as_str) == Some(text))?;
        return found.get("logprob")?.as_f64();
    }
    logprobs.pointer("/top_logprobs/0")?.get(text)?.as_f64()
}

/// Whether an answer lists likeliest first tokens at all.
pub(super) fn lists_likeliest(answer: &Value) -> bool {
    let Some(logprobs) = choice(answer).and_then(|c| c.get("logprobs")) else { return false };
    let list = logprobs.pointer("/content/0/top_logprobs").and_then(Value::as_array).map(Vec::len);
    let map = logprobs.pointer("/top_logprobs/0").and_then(Value::as_object).map(serde_json::Map::len);
    list.or(map).is_some_and(|n| n > 1)
}

/// Summed log-probability of the last `continuation` bytes of `prompt` in its echoed answer.
pub(super) fn continuation(answer: &Value, prompt: &str, continuation: usize) -> Result<f64, Unusable> {
    let logprobs = choice(answer).and_then(|c| c.get("logprobs")).ok_or(Unusable::Missing)?;
    let list = |name: &str| logprobs.get(name).and_then(Value::as_array).filter(|l| !l.is_empty());
    let (Some(tokens), Some(values)) = (list("tokens"), list("token_logprobs")) else { return Err(Unusable::Missing) };
    let tokens: Vec<&str> = tokens.iter().map(|t| t.as_str().unwrap_or_default()).collect();
    if tokens.len() != values.len() {
        return Err(Unusable::Unaligned);
    }
    // A server without `echo` answers with the generated token alone.
    if tokens.len() <= 1 && prompt.chars().nth(1).is_some() {
        return Err(Unusable::Missing);
    }
    let offsets: Option<Vec<usize>> = list("text_offset")
        .and_then(|offsets| offsets.iter().map(|o| usize::try_from(o.as_u64()?).ok()).collect::<Option<Vec<_>>>());
    let offsets = offsets.filter(|o| o.len() == tokens.len());
    // One token was asked for. A server counts it unless the model ended there; where it counts nothing, both are tried.
    let counted = answer.pointer("/usage/completion_tokens").and_then(Value::as_u64).map_or(1, |n| n.min(1) as usize);
    let ends = [tokens.len() - counted, tokens.len() + counted - 1];
    let start = ends.iter().find_map(|&end| Some((spelt(&tokens[..end], prompt, continuation)?, end))).or_else(|| {
        ends.iter().find_map(|&end| Some((placed(&tokens, offsets.as_deref()?, end, prompt, continuation)?, end)))
    });
    let (start, end) = start.ok_or(Unusable::Unaligned)?;
    let sum = values.get(start..end).and_then(|part| part.iter().map(Value::as_f64).sum::<Option<f64>>());
    sum.filter(|_| start < end).ok_or(Unusable::Unaligned)
}

/// The first token of the continuation, found by spelling `prompt` backwards. Some servers show tokens without the
/// blank before a word: the blank belongs to the token after it.
fn spelt(tokens: &[&str], prompt: &str, continuation: usize) -> Option<usize> {
    let border = prompt.len().checked_sub(continuation)?;
    let mut rest = prompt;
    let mut first = tokens.len();
    while rest.len() > border {
        let token = first.checked_sub(1).map(|i| tokens[i]).filter(|t| !t.is_empty());
        match token.and_then(|token| rest.strip_suffix(token)) {
            Some(before) => {
                rest = before;
                first -= 1;
            }
            None => {
                let before = rest.trim_end();
                if before.len() == rest.len() || first == tokens.len() {
                    return None;
                }
                rest = before;
            }
        }
    }
    // A token without a text is a part of the character that a later token shows: only the offsets tell whose it is.
    let part_before = first.checked_sub(1).is_some_and(|i| tokens[i].is_empty());
    (!part_before).then_some(first)
}

/// The first token of the continuation by the offsets, for tokens that are parts of characters and therefore spell
/// nothing. Only where the offsets measure the prompt as we do: in characters, with nothing unknown in between.
fn placed(tokens: &[&str], offsets: &[usize], end: usize, prompt: &str, continuation: usize) -> Option<usize> {
    let characters = prompt.chars().count();
    let border = characters - prompt.get(prompt.len().checked_sub(continuation)?..)?.chars().count();
    let past = match offsets.get(end) {
        Some(generated) => *generated,
        None => offsets.last()? + tokens.last()?.chars().count(),
    };
    // What stands before the prompt's own text: nothing, a blank, or the token that opens a sequence.
    let shift = past.checked_sub(characters)?;
    let opening = tokens.first().map_or(0, |t| t.chars().count());
    if offsets.first() != Some(&0) || !(shift == 0 || shift == 1 || shift == opening) {
        return None;
    }
    let place = |i: usize| if i < end { offsets[i] } else { past };
    (0..end).find(|&i| place(i) >= border + shift || place(i + 1) > border + shift)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(tokens: &[&str], offsets: &[usize], completion: Option<u64>) -> Value {
        // Token i has the log-probability −2^i, so that a sum tells which tokens are in it.
        let values: Vec<Value> =
            (0..tokens.len()).map(|i| if i == 0 { Value::Null } else { json!(-f64::from(1u32 << i)) }).collect();
        let mut answer = json!({"choices": [{"text": "", "logprobs": {"tokens": tokens, "token_logprobs": values}}]});
        if !offsets.is_empty() {
            answer["choices"][0]["logprobs"]["text_offset"] = json!(offsets);
        }
        if let Some(n) = completion {
            answer["usage"] = json!({"completion_tokens": n});
        }
        answer
    }

    /// Which tokens make up the sum.
    fn summed(answer: &Value, context: &str, choice: &str) -> Result<Vec<usize>, Unusable> {
        let sum = -continuation(answer, &format!("{context}{choice}"), choice.len())? as u32;
        Ok((0..32).filter(|i| sum & (1 << i) != 0).collect())
    }

    #[test]
    fn the_continuations_tokens_are_summed_and_the_generated_one_is_not() {
        let tokens = ["Q", ":", " A", "\n"];
        for completion in [Some(1), None] {
            assert_eq!(summed(&answer(&tokens, &[], completion), "Q:", " A"), Ok(vec![2]));
        }
        // The model ended: no generated token is shown.
        for completion in [Some(0), None] {
            assert_eq!(summed(&answer(&tokens[..3], &[], completion), "Q:", " A"), Ok(vec![2]));
        }
        assert_eq!(summed(&answer(&["a", "b", "c", "d", "x"], &[], Some(1)), "ab", "cd"), Ok(vec![2, 3]));
        // The generated token repeats the choice: the count decides.
        assert_eq!(summed(&answer(&["x", " A", " A"], &[], Some(1)), "x", " A"), Ok(vec![1]));
        assert_eq!(summed(&answer(&["x", " A", " A"], &[], Some(0)), "x A", " A"), Ok(vec![2]));
    }

    #[test]
    fn a_token_across_the_border_belongs_to_the_continuation() {
        assert_eq!(summed(&answer(&["Q", "：A", "B", "!"], &[], Some(1)), "Q：", "AB"), Ok(vec![1, 2]));
    }

    #[test]
    fn what_servers_put_before_the_prompt_does_not_move_the_border() {
        assert_eq!(summed(&answer(&["<s>", "Q", ":", " A", "x"], &[0, 3, 4, 5, 7], Some(1)), "Q:", " A"), Ok(vec![3]));
        assert_eq!(summed(&answer(&[" Q", ":", " A", "x"], &[0, 2, 3, 5], Some(1)), "Q:", " A"), Ok(vec![2]));
        // Tokens without their blanks.
        assert_eq!(summed(&answer(&["<s>", "Q", ":", "A", "x"], &[], Some(1)), "Q:", " A"), Ok(vec![3]));
        assert_eq!(summed(&answer(&["Q", ":", "to", "be", "x"], &[], Some(1)), "Q:", " to be"), Ok(vec![2, 3]));
    }

    #[test]
    fn parts_of_characters_are_placed_by_their_offsets() {
        // 答 is two tokens, 案 three; neither part is a text of its own.
        let tokens = ["答", "", "", "", "x"];
        assert_eq!(summed(&answer(&tokens, &[0, 1, 1, 1, 2], Some(1)), "答", "案"), Ok(vec![1, 2, 3]));
        let tokens = ["\u{fffd}", "", "案", "", ""];
        assert_eq!(summed(&answer(&tokens, &[0, 0, 1, 2, 3], Some(1)), "答案", "丙"), Ok(vec![3]));
        // The last part shows the character, as vLLM has it.
        let tokens = ["", "", "答", "", "案", "x"];
        assert_eq!(summed(&answer(&tokens, &[0, 0, 0, 1, 1, 2], Some(1)), "答", "案"), Ok(vec![3, 4]));
        // Each part counted as a character: nobody knows where the border is.
        let tokens = ["答", "\u{fffd}", "\u{fffd}", "\u{fffd}", "x"];
        assert_eq!(summed(&answer(&tokens, &[0, 1, 2, 3, 4], Some(1)), "答", "案"), Err(Unusable::Unaligned));
    }

    #[test]
    fn hostile_answers_are_refused() {
        for bad in [
            json!(null),
            json!([]),
            json!({"choices": []}),
            json!({"choices": [7]}),
            json!({"choices": [{"text": "x", "logprobs": null}]}),
            json!({"choices": [{"logprobs": {"tokens": [], "token_logprobs": []}}]}),
            json!({"choices": [{"logprobs": {"tokens": ["x"], "token_logprobs": [-1]}}]}),
        ] {
            assert_eq!(continuation(&bad, "Q: A", 2), Err(Unusable::Missing), "{bad}");
        }
        for bad in [
            json!({"choices": [{"logprobs": {"tokens": ["Q", ":", " A", "x"], "token_logprobs": [-1]}}]}),
            json!({"choices": [{"logprobs": {"tokens": ["z", "y", "x"], "token_logprobs": [-1, -1, -1]}}]}),
            json!({"choices": [{"logprobs": {"tokens": ["Q:", " A", "x"], "token_logprobs": [null, null, -1]}}]}),
            json!({"choices": [{"logprobs": {"tokens": [1, 2, 3], "token_logprobs": [-1, -1, -1], "text_offset": [9, -1, 3]}}]}),
        ] {
            assert_eq!(continuation(&bad, "Q: A", 2), Err(Unusable::Unaligned), "{bad}");
        }
        assert_eq!(continuation(&answer(&["a", "b"], &[], None), "ab", 9), Err(Unusable::Unaligned));
    }

    #[test]
    fn both_layouts_of_likeliest_tokens_are_read() {
        let old = json!({"choices": [{"logprobs": {"tokens": [" A"], "token_logprobs": [-0.5],
            "top_logprobs": [{" A": -0.5, " B": -1.5}]}}]});
        let new = json!({"choices": [{"logprobs": {"content": [{"token": " A", "logprob": -0.5,
            "top_logprobs": [{"token": " A", "logprob": -0.5}, {"token": " B", "logprob": -1.5}]}]}}]});
        for answer in [old, new] {
            assert_eq!(generated(&answer), Some((" A".to_owned(), -0.5)));
            assert_eq!(among_likeliest(&answer, " B"), Some(-1.5));
            assert_eq!(among_likeliest(&answer, "B"), None);
            assert!(lists_likeliest(&answer));
        }
        assert_eq!(generated(&json!({})), None);
        assert!(!lists_likeliest(&json!({"choices": [{"logprobs": null}]})));
    }
}
