//! Who may ask. A page of another site that runs in a browser on this machine can send requests to 127.0.0.1, and by
//! rebinding its name can even read the answers: so the host that a browser believes it talks to must be this one, and
//! what a page sends must come from a page of this server.

use super::http::Request;
use super::refusal::Refusal;
use std::net::IpAddr;

/// Decides about requests.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The host that the server was told to be (`--host`); it may be a name.
    pub(super) host: String,
    /// What `Authorization: Bearer` must hold.
    pub(super) key: Option<String>,
}

impl Guard {
    /// Whether the request was meant for this server and not sent by a page of another one.
    ///
    /// # Errors
    /// 403.
    pub(super) fn check_site(&self, request: &Request) -> Result<(), Refusal> {
        let host = request.header("host").unwrap_or_default();
        if !self.is_mine(name_of(host)) {
            return Err(Refusal::new(403, "this host is not served here: use 127.0.0.1 or localhost"));
        }
        // A browser names the page's origin with every request that could change something.
        let own = format!("http://{host}");
        let foreign = request.header("origin").is_some_and(|origin| !origin.eq_ignore_ascii_case(&own));
        let cross = request.header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
        // A link on another page may open this one; it may not ask for anything.
        let opens_page = request.method == "GET" && request.path == "/";
        if foreign || cross && !opens_page {
            return Err(Refusal::new(403, "requests from pages of other sites are refused"));
        }
        Ok(())
    }

    /// Whether the request brings the key.
    ///
    /// # Errors
    /// 401.
    pub(super) fn check_key(&self, request: &Request) -> Result<(), Refusal> {
        let Some(key) = &self.key else { return Ok(()) };
        let given = request.header("authorization").and_then(|v| v.strip_prefix("Bearer ")).unwrap_or_default();
        if same(given.trim().as_bytes(), key.as_bytes()) {
            return Ok(());
        }
        Err(Refusal::new(401, "a key is needed: send `Authorization: Bearer KEY`").code("invalid_api_key"))
    }

    /// Names can be made to point here by anyone; addresses cannot.
    fn is_mine(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("localhost")
            || name.eq_ignore_ascii_case(&self.host)
            || name.parse::<IpAddr>().is_ok()
    }
}

/// The host of `host:port`, without brackets.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Compares in a time that does not tell how much of the key was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard { host: "my-box".into(), key: Some("hunter2".into()) }
    }

    fn asked(method: &str, path: &str, headers: &[(&str, &str)]) -> Request {
        Request::for_test(method, path, headers)
    }

    #[test]
    fn names_that_others_can_point_here_are_refused() {
        for (host, mine) in [
            ("127.0.0.1:8080", true),
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("[::1]:8080", true),
            ("192.168.1.5:80", true),
            ("my-box:1", true),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            let request = asked("GET", "/health", &[("host", host)]);
            assert_eq!(guard().check_site(&request).is_ok(), mine, "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_may_open_the_page_and_ask_nothing() {
        let host = ("host", "localhost:1");
        for (method, path, extra, allowed) in [
            ("POST", "/arena/vote", ("origin", "http://localhost:1"), true),
            ("POST", "/arena/vote", ("origin", "http://evil.example"), false),
            ("POST", "/arena/vote", ("origin", "http://localhost:2"), false),
            ("POST", "/v1/completions", ("origin", "null"), false),
            ("GET", "/v1/models", ("sec-fetch-site", "cross-site"), false),
            ("GET", "/v1/models", ("sec-fetch-site", "same-origin"), true),
            ("GET", "/", ("sec-fetch-site", "cross-site"), true),
            ("GET", "/", ("sec-fetch-site", "none"), true),
            ("POST", "/v1/completions", ("user-agent", "curl"), true),
        ] {
            let request = asked(method, path, &[host, extra]);
            assert_eq!(guard().check_site(&request).is_ok(), allowed, "{method} {path} {extra:?}");
        }
    }

    #[test]
    fn the_key_must_be_right_to_the_last_letter() {
        let with = |value: &str| guard().check_key(&asked("GET", "/", &[("authorization", value)])).is_ok();
        assert!(with("Bearer hunter2"));
        for wrong in ["Bearer hunter", "Bearer hunter22", "Bearer ", "hunter2", "Basic hunter2", "Bearer Hunter2"] {
            assert!(!with(wrong), "{wrong}");
        }
        assert!(guard().check_key(&asked("GET", "/", &[])).is_err());
        assert!(Guard { key: None, ..guard() }.check_key(&asked("GET", "/", &[])).is_ok());
    }
}
