//! What went wrong, as it is told to whoever has to put it right: a code, a message and a hint.

use std::error::Error as StdError;
use std::io;

use serde::Serialize;

use ipam::shown::{joined, one_line};
use limits::EVENT;

/// An error of ours. A runtime is answered with all three parts; a command prints the message and the hint.
pub trait Fail: StdError {
    /// What a runtime is answered with, one of [`code`]. Commands answer no runtime, so that their errors leave this out:
    /// one that reached a runtime all the same would be a defect.
    fn code(&self) -> u32 {
        code::DEFECT
    }

    /// What to do next. Verbs always know it; a command may not.
    fn hint(&self) -> Option<String> {
        None
    }

    /// What failed, on which object, and why: the error with all that caused it.
    fn message(&self) -> String {
        joined(self)
    }
}

impl Fail for io::Error {
    fn code(&self) -> u32 {
        code::IO
    }
}

impl Fail for serde_json::Error {
    fn code(&self) -> u32 {
        code::DECODE
    }
}

/// How a hint writes the network whose command it names. Errors know objects, and not for which network they were asked:
/// whoever answers does, and puts its name here.
pub const ANY_NETWORK: &str = " --network NETWORK";

/// How a hint writes the very command that failed, which only whoever ran it knows.
pub const THIS_COMMAND: &str = "kube-ipam COMMAND --network NETWORK";

/// A hint with the name of the network that it is about.
pub fn for_network(hint: &str, network: &str) -> String {
    hint.replace(ANY_NETWORK, &format!(" --network {network}"))
}

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
    /// The store or the API server is unreachable, too slow or too contended: a later try may succeed.
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

/// A failure as it is answered: kubelet shows its user `msg`, then `details`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub code: u32,
    /// The message, on one line.
    pub msg: String,
    /// The hint, likewise; empty where there is none.
    pub details: String,
}

/// Characters that are kept for the message, however long a hint is.
const LEAST_MESSAGE: usize = 200;

impl<E: Fail> From<&E> for Failure {
    fn from(error: &E) -> Self {
        Self::hinting(error, &error.hint().unwrap_or_default())
    }
}

impl Failure {
    /// The failure of an error with this hint in the place of its own.
    pub fn hinting<E: Fail>(error: &E, hint: &str) -> Self {
        // An event is cut at its end, where the hint stands. So the message is cut here first; the log has all of it.
        let details = shortened(&one_line(hint), EVENT - LEAST_MESSAGE);
        let msg = shortened(&one_line(&error.message()), EVENT - details.chars().count());
        Self { code: error.code(), msg, details }
    }
}

/// At most so many characters. The middle goes: the beginning says what failed, the end says why.
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
    #[error("{message}")]
    struct Told {
        message: String,
        hint: String,
    }

    impl Fail for Told {
        fn hint(&self) -> Option<String> {
            Some(self.hint.clone())
        }
    }

    fn failure(message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::from(&Told { message: message.into(), hint: hint.into() })
    }

    #[test]
    fn an_answer_is_one_line_that_a_terminal_survives() {
        let failure = failure("interface \x1b[2Jeth0\n", "end\r\u{202e}it");
        assert_eq!(failure.msg, "interface \\u{1b}[2Jeth0\\n");
        assert_eq!(failure.details, "end\\r\\u{202e}it");
    }

    #[test]
    fn a_hint_names_the_network_that_it_is_about() {
        let error = Told { message: "full".into(), hint: "`kube-ipam list --network NETWORK` or --conf FILE".into() };
        let failure = Failure::hinting(&error, &for_network(&error.hint, "blue"));
        assert_eq!(failure.details, "`kube-ipam list --network blue` or --conf FILE");
        assert_eq!(Failure::from(&error).details, error.hint);
    }

    #[test]
    fn a_long_message_loses_its_middle_and_never_its_hint() {
        let long = format!("cannot release: {}the disk is full", "ä".repeat(2_000));
        let cut = failure(long, "free space");
        assert_eq!(cut.msg.chars().count() + cut.details.chars().count(), EVENT);
        assert!(cut.msg.starts_with("cannot release: ä") && cut.msg.ends_with("äthe disk is full"));
        assert_eq!(cut.details, "free space");
        let short = failure("short", "long ".repeat(500));
        assert!(short.msg == "short" && short.details.chars().count() <= EVENT - LEAST_MESSAGE);
    }
}
