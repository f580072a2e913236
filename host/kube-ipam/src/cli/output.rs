//! Where commands print: results on stdout, errors on stderr with their hints. Nothing that a name holds reaches the
//! terminal as a command.

use std::fmt;
use std::io::{self, Write};

use cni::{Fail, Version};
use ipam::shown::{json, lines, one_line};
use unicode_width::UnicodeWidthStr;

/// What a command has to say, and the exit code that goes with it.
#[derive(Debug)]
pub struct Output {
    /// Text for stdout.
    pub text: String,
    /// 0, unless the text itself is bad news.
    pub exit: u8,
}

/// A command's result: its output, or why there is none.
pub type Done = Result<Output, CommandError>;

/// Why a command has no output: whatever failed, with its own message and hint.
#[derive(Debug)]
pub struct CommandError(Box<dyn Fail>);

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message())
    }
}

impl<E: Fail + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl Output {
    /// Good news.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: 0 }
    }

    /// Good news for programs.
    pub fn json(value: &impl serde::Serialize) -> Done {
        Ok(Self::text(serde_json::to_string_pretty(value)?))
    }
}

/// A table without borders: columns are easy to cut and to grep.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    Columns::new(header).lines(rows).trim_end().to_owned()
}

/// A table that is printed in parts: each column is as wide as the widest that it has had so far.
pub(crate) struct Columns {
    widths: Vec<usize>,
    /// Printed with the first rows.
    header: Option<Vec<String>>,
}

impl Columns {
    pub(crate) fn new(header: &[&str]) -> Self {
        let widths = vec![0; header.len()];
        Self { widths, header: Some(header.iter().map(ToString::to_string).collect()) }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.header.is_none()
    }

    /// The next rows, a line each. The header comes with the first of them, where there are any.
    pub(crate) fn lines(&mut self, rows: impl IntoIterator<Item = Vec<String>>) -> String {
        let mut rows = rows.into_iter().peekable();
        let header = if rows.peek().is_some() { self.header.take() } else { None };
        let written: Vec<Vec<String>> = header.into_iter().chain(rows).collect();
        let shown: Vec<Vec<_>> = written.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
        for row in &shown {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let mut text = String::new();
        for row in &shown {
            let mut line = String::new();
            for (width, cell) in self.widths.iter().zip(row) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A JSON array that is printed in parts, with the very text that it has in one piece.
#[derive(Default)]
pub(crate) struct JsonList {
    has_begun: bool,
}

impl JsonList {
    /// Of values that can be written as JSON: with keys of text, as our records have.
    pub(crate) fn elements(&mut self, values: &[impl serde::Serialize]) -> String {
        let mut text = String::new();
        for value in values {
            text.push_str(if self.has_begun { ",\n  " } else { "[\n  " });
            // Within strings a line's end is written as an escape.
            let value = serde_json::to_string_pretty(value).expect("a value that can be written as JSON");
            text.push_str(&value.replace('\n', "\n  "));
            self.has_begun = true;
        }
        json(&text).into_owned()
    }

    pub(crate) fn end(self) -> String {
        let end = if self.has_begun { "\n]\n" } else { "[]\n" };
        end.to_owned()
    }
}

/// A number with its noun.
pub fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Print what a command has to say. A reader that has gone (`| head`) is not a failure.
pub fn finish(program: &str, done: Done) -> u8 {
    match done {
        Ok(Output { text, exit }) => {
            if !text.is_empty() {
                let _ = writeln!(io::stdout().lock(), "{}", lines(&text));
            }
            exit
        }
        Err(error) => {
            let mut text = format!("{program}: {error}");
            if let Some(hint) = error.0.hint() {
                text.push_str(&format!("\nhint: {hint}"));
            }
            let _ = writeln!(io::stderr().lock(), "{}", lines(&text));
            1
        }
    }
}

/// A part of what a command has to say, at once. False where the reader has gone.
pub(crate) fn print(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines(text).as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// News of a command that goes on, one line each.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{}", one_line(text));
}

/// A question to whoever sits at the terminal; false where it cannot be put.
pub fn ask(text: &str) -> bool {
    write!(io::stderr().lock(), "{}", lines(text)).is_ok()
}

/// What clap has to say: help and version are good news.
pub fn usage(error: &clap::Error) -> u8 {
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// Tried by hand without arguments: an about line and the versions, on stderr, as CNI plugins do.
pub fn about() -> u8 {
    let versions = Version::ALL.map(|version| version.to_string()).join(", ");
    let _ = writeln!(
        io::stderr().lock(),
        "kube-ipam {}: CNI IPAM plugin whose allocation rules are WebAssembly policies\n\
         CNI protocol versions supported: {versions}\n\
         `kube-ipam --help` lists the commands.",
        env!("CARGO_PKG_VERSION")
    );
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 3]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn a_table_in_parts_keeps_its_columns() {
        let mut columns = Columns::new(&["A", "B", "C"]);
        assert_eq!(columns.lines([]), "");
        assert!(!columns.has_begun());
        assert_eq!(columns.lines([row(["a1", "b", ""])]), "A   B  C\na1  b\n");
        assert_eq!(columns.lines([row(["a", "wider", "c"])]), "a   wider  c\n");
        assert_eq!(columns.lines([row(["a", "b", "漢\u{1b}"])]), "a   b      漢\\u{1b}\n");
        assert!(columns.has_begun());
    }

    #[test]
    fn a_list_in_parts_is_the_json_that_it_is_in_one_piece() {
        let values = [vec!["a\nb", "\u{202e}"], vec![], vec!["c"]];
        let mut list = JsonList::default();
        let text = values.iter().map(|value| list.elements(std::slice::from_ref(value))).collect::<String>();
        let whole = serde_json::to_string_pretty(&values).unwrap().replace('\u{202e}', "\\u202e");
        assert_eq!(text + &list.end(), whole + "\n");
        assert_eq!(JsonList::default().end(), "[]\n");
    }
}
