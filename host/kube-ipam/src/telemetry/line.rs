//! A line of the log: the time, the level, and `key=value` for all that is known, which `grep` finds and log collectors
//! read as "logfmt".

use std::error::Error;
use std::fmt::{Debug, Write};
use std::time::Duration;

use jiff::Timestamp;
use tracing::Level;
use tracing::field::{Field, Visit};

use ipam::shown::{joined, one_line};

/// The fields by which a call is known: they are in each of its lines.
const IDENTITY: [&str; 6] = ["verb", "network", "container", "interface", "pod", "node"];

/// Fields in the order in which they were first told.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// Tells a field, or tells it again. An empty text is an absent field.
    pub(super) fn set(&mut self, key: &'static str, value: String) {
        if value.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => self.0.push((key, value)),
        }
    }

    /// What is told under a key; empty where nothing is.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == key).map_or("", |(_, value)| value)
    }

    /// Tells each of these, or tells it again.
    pub(super) fn add(&mut self, fields: Self) {
        for (key, value) in fields.0 {
            self.set(key, value);
        }
    }

    pub(super) fn set_milliseconds(&mut self, key: &'static str, time: Duration) {
        self.set(key, format!("{:.2}", time.as_secs_f64() * 1e3));
    }

    /// Only those by which the call is known.
    pub(super) fn identity(&self) -> Self {
        let mut identity = self.clone();
        identity.0.retain(|(key, _)| IDENTITY.contains(key));
        identity
    }

    /// Takes the fields of an event, the event's message under this key.
    pub(super) fn noting(&mut self, message: &'static str) -> Noting<'_> {
        Noting { fields: self, message }
    }

    /// The line, with its end.
    pub(super) fn line(&self, at: Timestamp, level: Level) -> String {
        let mut line = format!("{at:.6} {level}");
        for (key, value) in &self.0 {
            let is_plain = !value.contains(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '=' | '\\'));
            let _ = if is_plain { write!(line, " {key}={value}") } else { write!(line, " {key}={value:?}") };
        }
        // Names are not ours: whatever they hold, the line stays one and moves no cursor.
        let mut line = one_line(&line).into_owned();
        line.push('\n');
        line
    }
}

/// Takes the fields of an event.
pub(super) struct Noting<'a> {
    fields: &'a mut Fields,
    message: &'static str,
}

impl Visit for Noting<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.set(self.key(field), value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.fields.set(self.key(field), joined(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.set(self.key(field), format!("{value:?}"));
    }
}

impl Noting<'_> {
    fn key(&self, field: &Field) -> &'static str {
        if field.name() == "message" { self.message } else { field.name() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(fields: &[(&'static str, &str)]) -> String {
        let mut all = Fields::default();
        for (key, value) in fields {
            all.set(key, (*value).to_owned());
        }
        all.line(Timestamp::UNIX_EPOCH, Level::INFO)
    }

    #[test]
    fn values_are_in_quotes_where_a_reader_would_lose_their_end() {
        assert_eq!(
            line(&[("pod", "shop/web"), ("why", "a = b")]),
            "1970-01-01T00:00:00.000000Z INFO pod=shop/web why=\"a = b\"\n"
        );
        assert_eq!(
            line(&[("pod", ""), ("a", "1"), ("b", "2"), ("a", "3")]),
            "1970-01-01T00:00:00.000000Z INFO a=3 b=2\n"
        );
    }

    #[test]
    fn no_name_begins_a_line_of_its_own() {
        let told = line(&[("interface", "e\x1b[2J\u{202e}"), ("pod", "a\nINFO forged=1")]);
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.trim_end().chars().all(ipam::shown::is_harmless), "{told:?}");
    }
}
