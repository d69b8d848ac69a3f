//! `http://HOST[:PORT]/v1#NAME`: where a server is, and which of its models is meant.

use crate::error::{Error, Kind, Result};
use crate::tr;
use std::fmt;

/// A model of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The protocol's root, without a slash at its end.
    pub base: String,
    /// The model's name there; empty when it was not given.
    pub name: String,
}

/// Whether `spec` means a model of a server rather than one on this machine.
pub fn is_address(spec: &str) -> bool {
    let starts = |scheme: &str| spec.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    starts("http://") || starts("https://")
}

impl Address {
    /// Reads `spec`. Where no path is given, `/v1` is meant.
    ///
    /// # Errors
    /// `InvalidInput` when it is no such address, or holds a password, which would be stored with every result.
    pub fn parse(spec: &str) -> Result<Address> {
        let (url, name) = spec.split_once('#').unwrap_or((spec, ""));
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let rest = rest.trim_end_matches('/');
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("a server's address must not hold a password", "服务器地址中不能包含密码"),
            )
            .hint(tr!(
                "put the key into the environment variable LINLY_BENCH_API_KEY",
                "请把密钥放在环境变量 LINLY_BENCH_API_KEY 中"
            )));
        }
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if !is_address(spec) || authority.is_empty() || spec.contains(odd) || rest.contains('?') {
            let shown = spec.escape_debug();
            return Err(Error::new(
                Kind::InvalidInput,
                tr!("`{shown}` is no server's address", "`{shown}` 不是服务器地址"),
            )
            .hint(tr!(
                "write http://HOST:PORT/v1#NAME with the model's name after #",
                "请写成 http://HOST:PORT/v1#NAME，# 后为模型名"
            )));
        }
        let path = if rest.contains('/') { "" } else { "/v1" };
        let rest = rest.replacen(authority, &authority.to_ascii_lowercase(), 1);
        Ok(Address { base: format!("{}://{rest}{path}", scheme.to_ascii_lowercase()), name: name.to_owned() })
    }

    /// The host, without its port.
    pub(super) fn host(&self) -> &str {
        let authority = self.base.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        }
    }

    /// Whether the server runs on this machine.
    pub(super) fn is_here(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether others on the way can read what is sent.
    pub(super) fn is_private(&self) -> bool {
        self.is_here() || self.base.starts_with("https://")
    }
}

/// As it is stored and shown: the same model has the same text however its address was written.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.base, self.name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_model_has_one_name() {
        for spec in ["http://Host:80/v1#org/m", "HTTP://host:80/v1/#org/m", "http://host:80#org/m"] {
            assert_eq!(Address::parse(spec).unwrap().to_string(), "http://host:80/v1#org/m");
        }
        assert_eq!(Address::parse("https://h/deep/v2#m#1").unwrap().to_string(), "https://h/deep/v2#m#1");
        assert_eq!(Address::parse("http://h/v1").unwrap().name, "");
    }

    #[test]
    fn what_is_no_address_or_holds_a_secret_is_refused() {
        for spec in ["http://", "http:///v1#m", "http://h/v1#a b", "http://h/v1?key=1#m", "ftp://h/v1#m"] {
            assert_eq!(Address::parse(spec).unwrap_err().kind, Kind::InvalidInput, "{spec}");
        }
        let error = Address::parse("https://user:hunter2@h/v1#m").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn only_loopback_counts_as_here() {
        for (spec, here) in [
            ("http://127.0.0.1:1#m", true),
            ("http://localhost#m", true),
            ("http://[::1]:8000/v1#m", true),
            ("http://localhost.example#m", false),
            ("http://10.0.0.1#m", false),
        ] {
            assert_eq!(Address::parse(spec).unwrap().is_here(), here, "{spec}");
        }
    }
}
