//! Text as it may reach a terminal, a log or an event: whatever a name holds, it neither moves the cursor, colours the
//! rest, begins a line of its own nor reorders what follows.
//!
//! Names come from runtimes, from pods' authors and from the store, and none of them is trusted here. What could do harm is
//! written as everywhere in our messages, where Rust puts a name in quotes: `\u{1b}`. What is JSON stays JSON: there it is
//! `\u001b`.

use std::borrow::Cow;
use std::error::Error;
use std::io;

use serde::Serializer;

/// The text on one line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, is_harmless, rust_escape)
}

/// A text of several lines: they stay apart, and so do columns that tabs keep apart. It may be JSON, for programs.
pub fn lines(text: &str) -> Cow<'_, str> {
    // JSON knows no `\u{1b}`: whoever reads it would take the whole text for broken.
    let escaped = if text.starts_with(['{', '[']) { json_escape } else { rust_escape };
    escape(text, |character| is_harmless(character) || matches!(character, '\n' | '\t'), escaped)
}

/// A number in JSON, as text where it is so large that readers which keep numbers as floating point would change it.
pub fn exact_number<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    if *number <= 1 << f64::MANTISSA_DIGITS {
        serializer.serialize_u128(*number)
    } else {
        serializer.collect_str(number)
    }
}

/// Some of them by name, and how many there are besides.
pub fn first_of<T>(all: &[T], most: usize, between: &str, text: impl Fn(&T) -> String) -> String {
    let mut named = all.iter().take(most).map(text).collect::<Vec<_>>().join(between);
    if let Some(more @ 1..) = all.len().checked_sub(most) {
        named.push_str(&format!("{between}and {more} more"));
    }
    named
}

/// An error and everything that caused it, outermost first, with colons between; without what URLs say of users.
pub fn joined(error: &(impl Error + ?Sized)) -> String {
    let mut links = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let link = cause.to_string();
        let last = links.len() - 1;
        // Clients of etcd and of the API server put into one link what the next one says again: whole, or as its beginning.
        if link.starts_with(&links[last]) {
            links[last] = link;
        } else if !links.iter().any(|said| said.contains(&link)) {
            links.push(link);
        }
        next = cause.source();
    }
    without_users(&links.join(": ")).into_owned()
}

/// A text whose URLs name no user and no password. Their place is not there, so that they come with a mistake, which is told.
pub fn without_users(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("://").map(|at| at + "://".len()) {
        let (scheme, after) = rest.split_at(begin);
        shown.push_str(scheme);
        rest = after;
        let is_web = scheme.ends_with("http://") || scheme.ends_with("https://");
        let url = after.split(|character: char| character.is_whitespace() || character == '"').next();
        // A password may have any other character, an @ and a slash among them; a host has none of these.
        if is_web && let Some(at) = url.unwrap_or_default().rfind('@') {
            shown.push_str("(redacted)");
            rest = &after[at..];
        }
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// A part of a JSON text, from wherever on.
pub fn json(text: &str) -> Cow<'_, str> {
    escape(text, |character| is_harmless(character) || character == '\n', json_escape)
}

/// Not a control character, nor one of Unicode's invisible ones that change how the rest is shown.
pub fn is_harmless(character: char) -> bool {
    let is_format = matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !is_format
}

fn escape(text: &str, is_kept: impl Fn(char) -> bool, escaped: fn(char) -> String) -> Cow<'_, str> {
    // Nearly every text is harmless, and is handed on as it is.
    if text.chars().all(&is_kept) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_kept(character) {
            shown.push(character);
        } else {
            shown.push_str(&escaped(character));
        }
    }
    Cow::Owned(shown)
}

fn rust_escape(character: char) -> String {
    character.escape_default().to_string()
}

fn json_escape(character: char) -> String {
    let mut units = [0; 2];
    character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Where the log is written to: each of its lines arrives in one piece, and stays one line.
pub struct OneLineEach<W>(pub W);

impl<W: io::Write> io::Write for OneLineEach<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The subscriber writes a whole line at a time. Only the line feed that it ends with is its own.
        let text = String::from_utf8_lossy(bytes);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        match one_line(line) {
            Cow::Borrowed(_) => self.0.write_all(bytes)?,
            Cow::Owned(shown) => self.0.write_all((shown + end).as_bytes())?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const WICKED: &str = "a\x1b[31mred\nnext\r\u{9b}2J\t\u{202e}olleh \u{e0041}grün";

    #[test]
    fn urls_are_shown_without_their_users() {
        for (text, shown) in [
            ("no URL", "no URL"),
            ("cannot reach https://etcd:2379/x: refused", "cannot reach https://etcd:2379/x: refused"),
            (r#"is "https://u:p@/ss@etcd:2379": no"#, r#"is "https://(redacted)@etcd:2379": no"#),
            ("http://a and https://u@b", "http://a and https://(redacted)@b"),
            ("http://u:p@a,https://v:q@b", "http://(redacted)@b"),
            ("oci://registry/module@sha256:12", "oci://registry/module@sha256:12"),
        ] {
            assert_eq!(without_users(text), shown);
        }
    }

    #[test]
    fn nothing_of_a_name_reaches_the_terminal() {
        let shown = "a\\u{1b}[31mred\\nnext\\r\\u{9b}2J\\t\\u{202e}olleh \\u{e0041}grün";
        assert_eq!(one_line(WICKED), shown);
        assert_eq!(format!("\"{shown}\""), format!("{WICKED:?}"), "as in quotes");
        assert_eq!(lines("one\n\ttwo\x1b[2J\r\n"), "one\n\ttwo\\u{1b}[2J\\r\n");
        assert!(matches!(one_line("pod shop/web, 10.0.0.2: grün"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        let json = serde_json::to_string_pretty(&[WICKED]).unwrap();
        let shown = lines(&json);
        assert!(shown.chars().all(|character| is_harmless(character) || character == '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [WICKED]);
    }

    #[test]
    fn a_line_of_the_log_stays_one_line() {
        let mut log = OneLineEach(Vec::new());
        log.write_all(format!("INFO claimed {WICKED}\n").as_bytes()).unwrap();
        log.write_all(b"INFO released\n").unwrap();
        let text = String::from_utf8(log.0).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.chars().all(|character| is_harmless(character) || character == '\n'), "{text}");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn what_a_cause_only_says_again_is_left_out() {
        let told = |texts: &[&'static str]| {
            let chain = texts.iter().rev().fold(None, |source, &text| Some(Box::new(Link { text, source })));
            joined(&chain.unwrap())
        };
        assert_eq!(told(&["cannot read a.conf"]), "cannot read a.conf");
        assert_eq!(told(&["cannot read a.conf", "no such file"]), "cannot read a.conf: no such file");
        assert_eq!(
            told(&["service error: connect", "connect", "tcp", "refused"]),
            "service error: connect: tcp: refused"
        );
        assert_eq!(told(&["connect: tcp", "connect: tcp: refused", "refused"]), "connect: tcp: refused");
    }
}
