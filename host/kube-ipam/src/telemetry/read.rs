//! The log as it is read again: for `doctor`, and for those who look at it in a browser.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;

/// A line, taken apart.
#[derive(Debug)]
pub(crate) struct LogLine<'a> {
    pub(crate) at: Timestamp,
    fields: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> LogLine<'a> {
    /// `None` for what is not a line of ours.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let (at, rest) = line.split_once(' ')?;
        let (_level, mut rest) = rest.split_once(' ')?;
        let mut fields = Vec::new();
        while let Some((key, value)) = rest.split_once('=') {
            let (value, behind) = value_of(value)?;
            fields.push((key, value));
            rest = behind.trim_start();
        }
        Some(Self { at: at.parse().ok()?, fields })
    }

    /// The lines of calls, each with the code it was answered with: the others are of things besides, and have none.
    pub(crate) fn calls_in(log: &'a str) -> impl Iterator<Item = (Self, u32)> {
        log.lines().filter_map(|line| {
            let line = Self::parse(line)?;
            let code = line.field("code")?.parse().ok()?;
            Some((line, code))
        })
    }

    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(known, _)| *known == key);
        field.map(|(_, value)| value.as_ref())
    }
}

/// A value, as far as it reaches, and what stands behind it.
fn value_of(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, behind) = text.split_once(' ').unwrap_or((text, ""));
        return Some((Cow::Borrowed(value), behind));
    };
    let mut value = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some((Cow::Owned(value), rest.as_str())),
            '\\' => value.push(match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let (digits, behind) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                    rest = behind.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                // A quotation mark or a backslash.
                other => other,
            }),
            other => value.push(other),
        }
    }
}

/// So many bytes of the end of a file, whole lines: a log may have grown beyond what it is put aside at, where links lead
/// elsewhere. Empty where there is nothing to read.
pub(crate) fn end_of(file: &Path, most: u64) -> String {
    read_end(file, most).unwrap_or_default()
}

fn read_end(file: &Path, most: u64) -> io::Result<String> {
    files::check_regular(file)?;
    let mut opened = File::open(file)?;
    let start = opened.metadata()?.len().saturating_sub(most);
    opened.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    opened.take(most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if start == 0 {
        return Ok(text);
    }
    Ok(text.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::line::Fields;
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let values = [
            ("pod", "shop/web"),
            ("error", "say \"no\"\\ to\n\t<b>a=b</b> \u{202e}\u{1b}[2J"),
            ("hint", "grün"),
            ("code", "104"),
        ];
        let mut fields = Fields::default();
        for (key, value) in values {
            fields.set(key, value.to_owned());
        }
        let text = fields.line(Timestamp::UNIX_EPOCH, tracing::Level::ERROR);
        let line = LogLine::parse(text.trim_end()).unwrap();
        assert_eq!(line.at, Timestamp::UNIX_EPOCH);
        for (key, value) in values {
            assert_eq!(line.field(key), Some(value));
        }
        assert_eq!(line.field("b"), None, "what stands in quotes is not a field");
    }

    #[test]
    fn what_is_not_a_line_of_ours_is_none() {
        for text in [
            "",
            "nonsense",
            "nonsense INFO a=1",
            "1970-01-01T00:00:00Z INFO a=\"1",
            "1970-01-01T00:00:00Z INFO a=\"\\u{d800}\"",
        ] {
            assert!(LogLine::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_end_of_a_file_begins_with_a_whole_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first\nsecond\nthird\n").unwrap();
        assert_eq!(end_of(file.path(), 100), "first\nsecond\nthird\n");
        assert_eq!(end_of(file.path(), 8), "third\n");
        assert_eq!(end_of(Path::new("/absent"), 8), "");
        assert_eq!(end_of(Path::new("/dev/zero"), 8), "");
    }
}
