//! Addresses that an operator has taken out of circulation.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why nobody gets an address, until an operator puts it back in circulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    pub reason: String,
    /// Who reserved it, by the name that they gave.
    pub by: String,
    pub since: Timestamp,
    /// The list that says so, where it was read from one: the next version of that list may end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

impl Reservation {
    /// How policies are told of it, in place of the identity that an address is on hold for. In brackets, as is all that
    /// the host itself keeps back.
    pub fn as_identity(&self) -> String {
        format!("(reserved: {})", self.reason)
    }
}

/// Behind "it is" or a colon.
impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, by, since, list } = self;
        write!(f, "reserved by {by} since {since:.0}")?;
        if let Some(list) = list {
            write!(f, " (list {list:?})")?;
        }
        write!(f, ": {reason}")
    }
}
