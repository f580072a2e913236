//! A list of addresses to reserve, as exports of other programs are easily brought to: a line has an address, a range or a
//! subnet, and behind a blank, a comma or a semicolon the reason.
//!
//! An address may have the length of its subnet behind it, as NetBox writes it: with host bits it is the address that is
//! meant.

use std::path::Path;

use super::error::ReserveError;
use crate::cli::operator::shortened;
use ipam::{Span, SpanError};
use limits::store::{REASON_BYTES, RESERVATION_LIST};

/// What one line lists.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListEntry {
    pub(super) span: Span,
    pub(super) reason: Option<String>,
}

/// Everything that a file lists. One that lists nothing is taken for a mistake: it would end every reservation of the list.
pub(super) fn read_list(file: &Path) -> Result<Vec<ListEntry>, ReserveError> {
    let bytes = files::read_regular(file, RESERVATION_LIST)
        .map_err(|source| ReserveError::Unreadable { path: file.to_owned(), source })?;
    let text = String::from_utf8_lossy(&bytes);
    let entries =
        parse_list(&text).map_err(|(line, problem)| ReserveError::Line { path: file.to_owned(), line, problem })?;
    if entries.is_empty() {
        return Err(ReserveError::EmptyList { path: file.to_owned() });
    }
    Ok(entries)
}

/// The entries, or the number of a line that is none, and why.
fn parse_list(text: &str) -> Result<Vec<ListEntry>, (usize, String)> {
    let mut entries = Vec::new();
    let mut is_first = true;
    for (nth, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(line) {
            Ok(entry) => entries.push(entry),
            // The names of columns: an address has a point or a colon.
            Err(_) if is_first && !line.contains(['.', ':']) => {}
            Err(problem) => return Err((nth + 1, problem)),
        }
        is_first = false;
    }
    Ok(entries)
}

fn parse_line(line: &str) -> Result<ListEntry, String> {
    let is_separator = |character: char| character.is_whitespace() || matches!(character, ',' | ';');
    let (place, reason) = line.split_once(is_separator).unwrap_or((line, ""));
    let place = place.trim_matches('"');
    let span = match place.parse::<Span>() {
        Ok(span) => span,
        Err(SpanError::HostBits { address, .. }) => Span::single(address),
        Err(error) => return Err(format!("{place:?}: {error}")),
    };
    let reason = reason.trim_matches(|character: char| is_separator(character) || character == '"');
    // Else "10.0.0.1 - 10.0.0.9" would be one address with an odd reason.
    if reason.starts_with('-') {
        return Err("write a range without blanks".to_owned());
    }
    let reason = if reason.is_empty() { None } else { Some(shortened(reason, REASON_BYTES)) };
    Ok(ListEntry { span, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, (usize, String)> {
        let mut shown = Vec::new();
        for ListEntry { span, reason } in parse_list(text)? {
            shown.push(format!("{span} {}", reason.unwrap_or_else(|| "-".to_owned())));
        }
        Ok(shown)
    }

    #[test]
    fn lines_of_any_kind_are_entries() {
        let text = "# from the DHCP server\n10.0.0.9\n10.0.0.10-10.0.0.12\tprinters, floor 3\n\n10.0.1.0/24; the lab\r\n\
                    \"10.0.0.5/24\",\"scanner\"\n::ffff:10.0.0.7 old\nfd00::7,";
        let expected = [
            "10.0.0.9 -",
            "10.0.0.10-10.0.0.12 printers, floor 3",
            "10.0.1.0-10.0.1.255 the lab",
            "10.0.0.5 scanner",
            "10.0.0.7 old",
            "fd00::7 -",
        ];
        assert_eq!(shown(text).unwrap(), expected);
    }

    #[test]
    fn names_of_columns_are_none() {
        for header in ["address,description", "Address;Name", "\u{feff}ip reason", "\"address\",\"description\""] {
            assert_eq!(shown(&format!("{header}\n10.0.0.9,printer")).unwrap(), ["10.0.0.9 printer"], "{header}");
        }
    }

    #[test]
    fn what_is_no_entry_is_named_by_its_line() {
        for (text, line, words) in [
            ("10.0.0.9\n10.0.0.300 printer", 2, "expected an address"),
            ("10.0.0.9\nprinter 10.0.0.9", 2, "expected an address"),
            ("10.0.0.300", 1, "expected an address"),
            ("\n10.0.0.9-10.0.0.2", 2, "must not be below"),
            ("10.0.0.1 - 10.0.0.9 printers", 1, "without blanks"),
        ] {
            let (number, problem) = shown(text).unwrap_err();
            assert!(number == line && problem.contains(words), "{text}: {number} {problem}");
        }
    }
}
