//! A verb that failed, as the runtime is told: a code, what happened, and a hint.

use std::error::Error as StdError;

use serde::Serialize;

use ipam::shown::one_line;
use limits::EVENT;

/// The error codes this plugin answers with. 9, 10, 12 to 49 and 52 to 99 are reserved by the specification; 3 is
/// never used, because from an ADD it would tell the runtime that no DEL is needed.
pub mod code {
    /// The configuration's version is unknown, or older than the verb.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// The version of the configuration cannot express the result.
    pub const UNSUPPORTED: u32 = 2;
    /// A variable is missing or malformed.
    pub const ENVIRONMENT: u32 = 4;
    /// Reading or writing failed.
    pub const IO: u32 = 5;
    /// The configuration is not JSON, or a field has the wrong type.
    pub const DECODE: u32 = 6;
    /// A field of the configuration holds something that cannot be used.
    pub const CONFIGURATION: u32 = 7;
    /// The store or the API server is unreachable, too slow or too contended.
    pub const TRY_AGAIN: u32 = 11;
    /// STATUS: an ADD could not work now.
    pub const UNAVAILABLE: u32 = 50;
    /// A defect of this program.
    pub const DEFECT: u32 = 100;
    /// Every usable address is held.
    pub const EXHAUSTED: u32 = 101;
    /// The address is held by another, who is named.
    pub const TAKEN: u32 = 102;
    /// An annotation or a requested address is invalid.
    pub const INVALID_REQUEST: u32 = 103;
    /// The policy said no.
    pub const DENIED: u32 = 104;
    /// The policy trapped, hit a limit or made a bad proposal.
    pub const POLICY_FAULT: u32 = 105;
    /// CHECK: an address is not held by this attachment.
    pub const NOT_HELD: u32 = 106;
}

/// What a runtime shows to its user: kubelet prints `msg`, then `details`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// One of [`code`].
    pub code: u32,
    /// What failed, on which object, and why.
    pub msg: String,
    /// What to do next; may be empty.
    pub details: String,
}

impl Failure {
    /// The one place where a chain of errors becomes the text of an answer: on one line, whatever the names in it hold,
    /// and short enough that the hint is not cut off. The log has all of it.
    pub fn new(code: u32, error: &dyn StdError, hint: Option<String>) -> Self {
        let details = shortened(&one_line(&hint.unwrap_or_default()), EVENT - LEAST_MESSAGE);
        let msg = shortened(&one_line(&joined(error)), EVENT - details.chars().count());
        Self { code, msg, details }
    }
}

/// Characters that are kept for the message, however long a hint is.
const LEAST_MESSAGE: usize = 200;

/// An error and everything that caused it, outermost first.
pub fn joined(error: &dyn StdError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// At most so many characters. What goes is the middle: the beginning says what failed, the end says why.
fn shortened(text: &str, most: usize) -> String {
    const GAP: &str = " … ";
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let kept = most - GAP.chars().count();
    let (head, tail) = (kept - kept / 3, kept / 3);
    let beginning: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{}{GAP}{}", beginning.trim_end(), end.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Told(String);

    #[test]
    fn an_answer_is_one_line_that_a_terminal_survives() {
        let failure = Failure::new(7, &Told("interface \x1b[2Jeth0\n".into()), Some("end\r\u{202e}it".into()));
        assert_eq!(failure.msg, "interface \\u{1b}[2Jeth0\\n");
        assert_eq!(failure.details, "end\\r\\u{202e}it");
    }

    #[test]
    fn a_long_message_loses_its_middle_and_never_its_hint() {
        let long = format!("cannot release: {}the disk is full", "ä".repeat(2_000));
        let failure = Failure::new(11, &Told(long), Some("free space".into()));
        assert_eq!(failure.msg.chars().count() + failure.details.chars().count(), EVENT);
        assert!(failure.msg.starts_with("cannot release: ä") && failure.msg.ends_with("äthe disk is full"));
        assert_eq!(failure.details, "free space");
        let failure = Failure::new(11, &Told("short".into()), Some("long ".repeat(500)));
        assert!(failure.msg == "short" && failure.details.chars().count() <= EVENT - LEAST_MESSAGE);
    }
}
