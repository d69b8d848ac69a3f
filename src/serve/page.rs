//! The arena's page: one file, nothing from elsewhere.

use super::http::Connection;

const PAGE: &str = include_str!("page.html");

/// Sends the page. Only its own script may run, and it may speak to this server alone.
pub(super) fn send(connection: &mut Connection) {
    // A word that no injected script can know.
    let nonce = format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
    let policy = format!(
        "Content-Security-Policy: default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\nCache-Control: no-store\r\n"
    );
    let page = PAGE.replace("NONCE", &nonce);
    connection.answer(200, "text/html; charset=utf-8", &policy, page.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_from_elsewhere_and_no_text_becomes_markup() {
        for wrong in ["http://", "https://", "//cdn", "innerHTML", "outerHTML", "document.write", "eval(", "onclick="] {
            assert!(!PAGE.contains(wrong), "{wrong}");
        }
        assert!(PAGE.contains("textContent") && PAGE.contains(r#"<script nonce="NONCE">"#));
    }

    #[test]
    fn every_text_is_there_in_both_languages() {
        let keys = |language: &str| -> Vec<String> {
            let start = PAGE.find(&format!("\n  {language}: {{")).map_or(0, |at| at + 1);
            let table = PAGE[start..].split("\n  },").next().unwrap_or_default();
            table.lines().skip(1).filter_map(|l| Some(l.trim().split_once(':')?.0.to_owned())).collect()
        };
        assert!(keys("en").len() > 15);
        assert_eq!(keys("en"), keys("zh"));
    }
}
