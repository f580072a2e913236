//! Who acts, and why: what a command that writes leaves in the history.

use std::os::unix::fs::MetadataExt;

use clap::Args;
use jiff::Timestamp;

use super::network::Opened;
use crate::config::HistoryConfig;
use crate::journal::history::{self, Event, What};
use ipam::Claim;
use limits::store::{REASON_BYTES, RESERVED_BY_BYTES};

/// A variable that says who acts, where the user of the process does not: for commands that one account runs for many people.
const OPERATOR: &str = "KUBE_IPAM_OPERATOR";

/// The options of a command that writes, for its line in the history.
#[derive(Args, Clone, Debug, Default)]
pub struct ActArgs {
    /// Why, for the history
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub(super) reason: Option<String>,
    /// Who does it, for the history. Default: KUBE_IPAM_OPERATOR, or else USER@NODE
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) by: Option<String>,
}

/// What an operator did, as far as it is carried out.
pub(crate) struct Act<'a> {
    opened: &'a Opened,
    by: String,
    reason: Option<String>,
    events: Vec<Event<'static>>,
}

impl ActArgs {
    pub(super) fn begin<'a>(&self, opened: &'a Opened) -> Act<'a> {
        Act { opened, by: self.by(&opened.base.node), reason: self.reason.clone(), events: Vec::new() }
    }

    /// Whoever calls the command: through sudo it is the one who did.
    pub(super) fn by(&self, node: &str) -> String {
        if let Some(by) = &self.by {
            return by.clone();
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(operator) = variable(OPERATOR) {
            return shortened(&operator, RESERVED_BY_BYTES);
        }
        let known = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(variable);
        let user = known.unwrap_or_else(|| match std::fs::metadata("/proc/self") {
            Ok(process) => format!("uid {}", process.uid()),
            Err(_) => "unknown".to_owned(),
        });
        shortened(&format!("{user}@{node}"), RESERVED_BY_BYTES)
    }
}

impl Act<'_> {
    /// Note what became of a claim. The reason is the operator's, or else what the command found.
    pub(super) fn on_claim(&mut self, what: What, claim: &Claim, found: Option<&str>) {
        let domain = self.opened.base.domain.clone();
        let event = Event::of_claim(what, &domain, claim, Timestamp::now());
        self.note(event, found);
    }

    /// Note what became of addresses that nobody holds.
    pub(super) fn on_addresses(&mut self, what: What, addresses: Vec<String>, found: Option<&str>) {
        let domain = self.opened.base.domain.clone();
        self.note(Event::of_addresses(what, &domain, addresses, Timestamp::now()), found);
    }

    /// Note what became of a whole domain. Each of half a million claims by itself would drive all else out of the history.
    pub(super) fn on_domain(&mut self, what: What, found: &str) {
        self.on_addresses(what, ["0.0.0.0/0", "::/0"].map(str::to_owned).to_vec(), Some(found));
    }

    fn note(&mut self, event: Event<'_>, found: Option<&str>) {
        let reason = match (&self.reason, found) {
            (Some(reason), Some(found)) => Some(format!("{reason} ({found})")),
            (Some(reason), None) => Some(reason.clone()),
            (None, found) => found.map(str::to_owned),
        };
        let Event { at, what, domain, claim, addresses, .. } = event;
        self.events.push(Event {
            at,
            what,
            domain: domain.into_owned().into(),
            claim: claim.map(|claim| std::borrow::Cow::Owned(claim.into_owned())),
            addresses,
            by: Some(self.by.clone().into()),
            reason: reason.map(Into::into),
        });
    }
}

/// What was noted is written when the command is done with the network, also where it failed in between.
impl Drop for Act<'_> {
    fn drop(&mut self) {
        let Some(config) = HistoryConfig::of(&self.opened.netconf) else { return };
        if let Err(error) = history::append(&config, &self.events) {
            tracing::warn!("{}: the history is not written: {error}", config.file.display());
        }
    }
}

pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    parse_text(text, REASON_BYTES)
}

pub(super) fn parse_name(text: &str) -> Result<String, String> {
    parse_text(text, RESERVED_BY_BYTES)
}

fn parse_text(text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("expected some words on one line".to_owned());
    }
    if text.len() > most {
        return Err(format!("it has {} bytes; the limit is {most}", text.len()));
    }
    Ok(text.to_owned())
}

/// As much of a text as fits, with a mark where something is missing, on one line.
pub(super) fn shortened(text: &str, most: usize) -> String {
    const MARK: &str = "…";
    let text: String = text.chars().filter(|character| !character.is_control()).collect();
    if text.len() <= most {
        return text;
    }
    let mut end = most - MARK.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned() + MARK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line_of_words() {
        assert_eq!(parse_reason(" the printer "), Ok("the printer".to_owned()));
        for text in ["", " ", "two\nlines", "a\u{1b}[31m", &"x".repeat(REASON_BYTES + 1)] {
            assert!(parse_reason(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(shortened("äöü\n", 6), "äöü");
        assert_eq!(shortened("äöüß", 7), "äö…");
        assert_eq!(shortened("äöüß", 6), "ä…");
    }
}
