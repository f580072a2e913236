//! Answers, and the headers that each of them has.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::cli::output::CommandError;
use crate::verbs;
use cni::Fail;
use cni::failure::ANY_NETWORK;
use store::StoreError;

pub(super) type Reply = Response<Full<Bytes>>;

/// The page loads nothing from elsewhere, runs no code but its own files', and is in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// What a browser is told beside every answer.
const HEADERS: [(&str, &str); 5] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

/// Why a request is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Method,
    Body,
    Host,
    Token,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: String,
    hint: Option<String>,
}

pub(super) fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // The page is part of the program and changes with it; what it shows is of the moment.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    reply
}

/// A value for programs. One that cannot be written as JSON, such as a map whose keys are not text, is a defect.
pub(super) fn to_bytes(value: &impl Serialize) -> Result<Bytes, Failure> {
    let written = serde_json::to_vec(value).map_err(|error| Failure::of_program(&error.to_string()))?;
    Ok(written.into())
}

impl Refused {
    pub(super) fn reply(self) -> Reply {
        let (status, error) = match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD: nothing can be changed here"),
            Self::Body => (StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here"),
            Self::Host => (StatusCode::MISDIRECTED_REQUEST, "the Host header names another machine than this one"),
            Self::Token => (StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN"),
        };
        let mut reply = Failure { status, error: error.to_owned(), hint: None }.reply();
        match self {
            Self::Method => drop(reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"))),
            Self::Token => drop(reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::Body | Self::Host => {}
        }
        reply
    }
}

impl Failure {
    pub(super) fn not_found(what: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: format!("there is no {what}"), hint: None }
    }

    /// Of a request that nobody could answer.
    pub(super) fn bad_request(error: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, hint: None }
    }

    pub(super) fn late() -> Self {
        let error = "the answer took too long".to_owned();
        let hint = Some("ask again; `kube-ipam doctor` says how the store answers".to_owned());
        Self { status: StatusCode::GATEWAY_TIMEOUT, error, hint }
    }

    fn of_program(error: &str) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, error: error.to_owned(), hint: None }
    }

    /// With the network that commands in the hint are about.
    pub(super) fn about(mut self, option: &str) -> Self {
        self.hint = self.hint.map(|hint| hint.replace(ANY_NETWORK, option));
        self
    }

    /// As a part of an answer that has something to tell all the same.
    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({"error": self.error, "hint": self.hint})
    }

    pub(super) fn reply(&self) -> Reply {
        let body = self.to_json().to_string();
        answer(self.status, "application/json", body)
    }
}

impl From<verbs::Error> for Failure {
    fn from(error: verbs::Error) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.message(), hint: error.hint() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        verbs::Error::from(error).into()
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.to_string(), hint: error.hint() }
    }
}
