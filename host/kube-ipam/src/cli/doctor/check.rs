//! One thing that an ADD needs, and whether it is as it should be.

use std::fmt;

use serde::Serialize;

use crate::cli::network::Opened;
use crate::verbs;
use cni::Fail;
use cni::failure::ANY_NETWORK;
use ipam::shown::one_line;

/// One check and how it went.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Good,
    /// Pods get addresses, but an operator should have a look.
    Warning,
    /// Pods get no addresses, or something that the configuration asks for does not happen.
    Bad,
}

impl Verdict {
    pub(super) fn exit(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Warning => 1,
            Self::Bad => 2,
        }
    }
}

impl Check {
    pub(super) fn good(name: &'static str, detail: String) -> Self {
        Self { name, verdict: Verdict::Good, detail, hint: None }
    }

    pub(super) fn warning(name: &'static str, detail: String, hint: Option<String>) -> Self {
        Self { name, verdict: Verdict::Warning, detail, hint }
    }

    pub(super) fn bad(name: &'static str, detail: String, hint: Option<String>) -> Self {
        Self { name, verdict: Verdict::Bad, detail, hint }
    }

    /// With the options that lead to this network in the commands of its hint.
    pub(super) fn naming(self, opened: &Opened) -> Self {
        let hint = self.hint.map(|hint| hint.replace(ANY_NETWORK, &opened.found.option));
        Self { hint, ..self }
    }

    pub(super) fn failed(name: &'static str, error: &verbs::Error) -> Self {
        Self { name, verdict: Verdict::Bad, detail: error.message(), hint: error.hint() }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.verdict {
            Verdict::Good => '✓',
            Verdict::Warning => '!',
            Verdict::Bad => '✗',
        };
        write!(f, "{mark} {:<14} {}", self.name, one_line(&self.detail))?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {}", one_line(hint))?;
        }
        Ok(())
    }
}
