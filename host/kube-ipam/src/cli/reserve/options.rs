//! What to reserve, why, and in whose name.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use clap::Args;

use ipam::Span;
use ipam::shown::first_of;
use limits::store::{REASON_BYTES, RESERVED_BY_BYTES};

#[derive(Args, Debug)]
pub(crate) struct ReserveOptions {
    /// Addresses, ranges (10.0.0.10-10.0.0.20) or subnets (10.0.0.16/28)
    #[arg(value_name = "ADDRESS|RANGE|SUBNET", required_unless_present = "from")]
    pub(super) what: Vec<Span>,
    /// Why nobody gets them; with --from, for lines without a reason of their own
    #[arg(long, value_name = "TEXT", required_unless_present = "from", value_parser = parse_reason)]
    pub(super) reason: Option<String>,
    /// Reserve what this file lists, and put back in circulation what it listed before and no longer does. A line has an
    /// address, a range or a subnet, then a blank, a comma or a semicolon and the reason; a line that begins with "#" is a
    /// comment
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub(super) from: Option<PathBuf>,
    /// The name of the list; the next time it is read, only the reservations of that name change. Default: the name of the
    /// file
    #[arg(long, value_name = "NAME", requires = "from", value_parser = parse_name)]
    pub(super) list: Option<String>,
    /// Who reserves them. Default: USER@NODE
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) by: Option<String>,
    /// Also reserve addresses on hold for an identity: its pod gets another address when it comes back
    #[arg(long)]
    pub(super) force: bool,
    /// Reserve without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Show what would be reserved, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UnreserveOptions {
    /// Addresses, ranges (10.0.0.10-10.0.0.20) or subnets (10.0.0.16/28): every reservation in them ends
    #[arg(value_name = "ADDRESS|RANGE|SUBNET", required_unless_present = "list")]
    pub(super) what: Vec<Span>,
    /// End every reservation of this list
    #[arg(long, value_name = "NAME", conflicts_with = "what")]
    pub(super) list: Option<String>,
    /// Put them back in circulation without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Show what would be put back in circulation, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl ReserveOptions {
    /// The list that the reservations belong to, where they are read from one.
    pub(super) fn list_name(&self) -> Option<String> {
        let file = self.from.as_ref()?;
        if let Some(list) = &self.list {
            return Some(list.clone());
        }
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        Some(shortened(&name, RESERVED_BY_BYTES))
    }

    /// Whoever calls the command: through sudo it is the one who did.
    pub(super) fn by(&self, node: &str) -> String {
        if let Some(by) = &self.by {
            return by.clone();
        }
        let known = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
        let user = known.filter(|user| !user.is_empty()).unwrap_or_else(|| match std::fs::metadata("/proc/self") {
            Ok(process) => format!("uid {}", process.uid()),
            Err(_) => "unknown".to_owned(),
        });
        shortened(&format!("{user}@{node}"), RESERVED_BY_BYTES)
    }
}

impl UnreserveOptions {
    /// Where was looked, behind "nothing is reserved".
    pub(super) fn place(&self) -> String {
        match &self.list {
            Some(list) => format!("by list {list:?}"),
            None => format!("in {}", first_of(&self.what, 4, ", ", ToString::to_string)),
        }
    }
}

fn parse_reason(text: &str) -> Result<String, String> {
    parse_text(text, REASON_BYTES)
}

fn parse_name(text: &str) -> Result<String, String> {
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
