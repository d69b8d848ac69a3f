//! What chat templates expect of their host beyond Jinja itself: Python's JSON, Python's words for
//! truth, `raise_exception`, `strftime_now`, and `{% generation %}` blocks, as the transformers
//! library provides them (`apply_chat_template`).

use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value, escape_formatter};
use serde_json::Value as Json;

/// An environment in which chat templates render as they do in transformers.
pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_syntax(syntax());
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.set_formatter(|out, state, value| match () {
        () if value.is_none() => out.write_str("None").map_err(Error::from),
        () if value.kind() == minijinja::value::ValueKind::Bool => {
            out.write_str(if value.is_true() { "True" } else { "False" }).map_err(Error::from)
        }
        () => escape_formatter(out, state, value),
    });
    env.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    env.add_function("strftime_now", strftime_now);
    env.add_filter("tojson", tojson);
    env
}

fn syntax() -> minijinja::syntax::SyntaxConfig {
    let mut builder = minijinja::syntax::SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    builder.build().unwrap_or_default()
}

/// Turns `{% generation %} … {% endgeneration %}` into an `if` that always holds: the tag marks what
/// an assistant says and changes nothing else. Replacing it, instead of deleting it, keeps what
/// Jinja does with the white space around a tag.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end);
        let inner = tag.trim_start_matches("{%");
        let word = inner.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        match word {
            "generation" | "endgeneration" => {
                let new = if word == "generation" { "if true" } else { "endif" };
                out.push_str("{%");
                out.push_str(&inner.replace(word, new));
            }
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The time now (UTC) in Python's `strftime` format.
fn strftime_now(format: &str) -> Result<String, Error> {
    let invalid = |e: String| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {e}"));
    let format = time::format_description::parse_strftime_owned(format).map_err(|e| invalid(e.to_string()))?;
    time::OffsetDateTime::now_utc().format(&format).map_err(|e| invalid(e.to_string()))
}

/// `json.dumps` with transformers' defaults: Chinese stays Chinese, keys keep their order.
fn tojson(value: Value, options: Kwargs) -> Result<String, Error> {
    let value = serde_json::to_value(&value).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    let indent: Option<usize> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let style = Style {
        indent,
        item: separators.as_ref().and_then(|s| s.first().cloned()).unwrap_or_else(|| {
            // Python leaves out the blank after a comma when a line end follows.
            if indent.is_some() { ",".to_owned() } else { ", ".to_owned() }
        }),
        key: separators.as_ref().and_then(|s| s.get(1).cloned()).unwrap_or_else(|| ": ".to_owned()),
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    let mut out = String::new();
    style.write(&value, 0, &mut out);
    Ok(out)
}

struct Style {
    indent: Option<usize>,
    item: String,
    key: String,
    ascii: bool,
    sort: bool,
}

impl Style {
    fn write(&self, value: &Json, depth: usize, out: &mut String) {
        match value {
            Json::String(text) => self.string(text, out),
            Json::Array(items) if items.is_empty() => out.push_str("[]"),
            Json::Object(items) if items.is_empty() => out.push_str("{}"),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    self.separate(i, depth + 1, out);
                    self.write(item, depth + 1, out);
                }
                self.new_line(depth, out);
                out.push(']');
            }
            Json::Object(items) => {
                let mut items: Vec<(&String, &Json)> = items.iter().collect();
                if self.sort {
                    items.sort_by_key(|(key, _)| *key);
                }
                out.push('{');
                for (i, (key, item)) in items.into_iter().enumerate() {
                    self.separate(i, depth + 1, out);
                    self.string(key, out);
                    out.push_str(&self.key);
                    self.write(item, depth + 1, out);
                }
                self.new_line(depth, out);
                out.push('}');
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => out.push_str(&value.to_string()),
        }
    }

    fn separate(&self, index: usize, depth: usize, out: &mut String) {
        if index > 0 {
            out.push_str(&self.item);
        }
        self.new_line(depth, out);
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn string(&self, text: &str, out: &mut String) {
        let quoted = Json::from(text).to_string();
        if !self.ascii {
            out.push_str(&quoted);
            return;
        }
        for c in quoted.chars() {
            if c.is_ascii() {
                out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::value::Serde;

    fn render(source: &str, context: Value) -> String {
        environment().render_str(&without_generation_tags(source), context).unwrap()
    }

    #[test]
    fn json_looks_like_python() {
        let context =
            || minijinja::context! { x => Serde(serde_json::json!({"名": "基金", "b": [1, true, null], "e": {}})) };
        assert_eq!(render("{{ x | tojson }}", context()), r#"{"名": "基金", "b": [1, true, null], "e": {}}"#);
        assert_eq!(render("{{ x.b | tojson(indent=2) }}", context()), "[\n  1,\n  true,\n  null\n]");
        assert_eq!(
            render("{{ x | tojson(sort_keys=true) }}", context()),
            r#"{"b": [1, true, null], "e": {}, "名": "基金"}"#
        );
        assert_eq!(render("{{ x.b | tojson(separators=(',', ':')) }}", context()), "[1,true,null]");
        assert_eq!(render("{{ '基<a>' | tojson(ensure_ascii=true) }}", context()), r#""\u57fa<a>""#);
    }

    #[test]
    fn generation_tags_leave_only_what_they_enclose() {
        let text = without_generation_tags("a\n{%- generation -%}\n b {% endgeneration %}\nc{% if x %}y{% endif %}");
        assert_eq!(text, "a\n{%- if true -%}\n b {% endif %}\nc{% if x %}y{% endif %}");
        assert_eq!(without_generation_tags("a {% b"), "a {% b");
    }

    #[test]
    fn words_of_python() {
        assert_eq!(render("{{ none }} {{ true }} {{ 1 == 2 }} {{ nothing }}|", Value::UNDEFINED), "None True False |");
    }

    #[test]
    fn the_date_follows_the_format() {
        let text = render("{{ strftime_now('%d %b %Y') }}", Value::UNDEFINED);
        let year = time::OffsetDateTime::now_utc().year();
        assert!(text.ends_with(&format!(" {year}")) && text.len() == 11, "{text}");
        assert!(environment().render_str("{{ strftime_now('%Q!') }}", ()).is_err());
    }
}
