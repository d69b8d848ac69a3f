//! Failures in the protocol's own shape: `{"error": {"message", "type", "param", "code"}}` and a status.

use crate::error::{Error, Kind};
use serde_json::{Value, json};

/// An answer that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    message: String,
    /// What clients tell failures apart by.
    code: Option<&'static str>,
    /// The field of the request that is meant.
    param: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into(), code: None, param: None }
    }

    /// A request that cannot be granted, because of the field `param`.
    pub(super) fn of(param: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { param: Some(param), ..Refusal::new(400, message) }
    }

    pub(super) fn code(self, code: &'static str) -> Refusal {
        Refusal { code: Some(code), ..self }
    }

    pub(super) fn status(self, status: u16) -> Refusal {
        Refusal { status, ..self }
    }

    /// The object that is sent.
    pub(super) fn body(&self) -> Value {
        let kind = match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}})
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let status = match error.kind {
            Kind::NotFound => 404,
            Kind::InvalidInput | Kind::Unsupported | Kind::Usage | Kind::Mismatch => 400,
            Kind::Interrupted => 503,
            _ => 500,
        };
        let message = match error.hint {
            Some(hint) => format!("{} ({hint})", error.message),
            None => error.message,
        };
        Refusal::new(status, message)
    }
}
