//! Where commands print: results on stdout, errors on stderr with their hints. Control characters are escaped on the way,
//! so that nothing in a name, which a pod's author may choose, reaches the terminal as a command.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use super::typed::hint_as_typed;
use clap::{Args, ValueEnum};
use cni::{Fail, Version};
use ipam::Claim;
use ipam::shown::{json, lines, one_line};
use unicode_width::UnicodeWidthStr;

/// The option that says for whom a command prints.
#[derive(Args, Debug)]
pub struct OutputArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// What a command prints on stdout, and the exit code that goes with it.
#[derive(Debug)]
pub struct Output {
    pub text: String,
    /// 0, unless the text itself is bad news.
    pub exit: u8,
}

/// A command's result: its output, or why there is none.
pub type Done = Result<Output, CommandError>;

/// Why a command has no output: any failure, with its own message and hint.
#[derive(Debug)]
pub struct CommandError(Box<dyn Fail>);

impl CommandError {
    /// What to do next, as it may be told to others than the one who typed a command.
    pub(crate) fn hint(&self) -> Option<String> {
        self.0.hint()
    }
}

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
    /// Text for people, with exit code 0.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: 0 }
    }

    /// JSON for programs, with exit code 0.
    pub fn json(value: &impl serde::Serialize) -> Done {
        Ok(Self::text(serde_json::to_string_pretty(value)?))
    }
}

/// A table without borders: columns are easy to cut and to grep.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    Columns::new(header).lines(rows).trim_end().to_owned()
}

/// A table that is printed in parts. Each column is as wide as its widest cell so far: the rows to come are not known yet.
pub(crate) struct Columns {
    widths: Vec<usize>,
    /// Taken when it is printed, which is with the first rows.
    header: Option<Vec<String>>,
}

impl Columns {
    pub(crate) fn new(header: &[&str]) -> Self {
        let widths = vec![0; header.len()];
        Self { widths, header: Some(header.iter().map(ToString::to_string).collect()) }
    }

    /// Rows alone.
    pub(crate) fn headless(columns: usize) -> Self {
        Self { widths: vec![0; columns], header: None }
    }

    /// The next rows, a line each; before the first of them, the header.
    pub(crate) fn lines(&mut self, rows: impl IntoIterator<Item = Vec<String>>) -> String {
        let mut shown: Vec<Vec<String>> = Vec::new();
        for row in rows {
            shown.extend(self.header.take());
            shown.push(row);
        }
        for row in &mut shown {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *cell = one_line(cell).into_owned();
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

/// A JSON array that is printed in parts. Together they are the text that `serde_json` would print of the whole.
#[derive(Default)]
pub(crate) struct JsonList {
    has_begun: bool,
}

impl JsonList {
    /// The next elements. Panics on a value that JSON cannot express, such as a map whose keys are not text.
    pub(crate) fn elements(&mut self, values: &[impl serde::Serialize]) -> String {
        let mut text = String::new();
        for value in values {
            text.push_str(if self.has_begun { ",\n  " } else { "[\n  " });
            // JSON escapes line ends within strings, so that each one found here ends a line of the layout.
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

/// A cell of a table; a dash where there is nothing to show.
pub(crate) fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

/// The addresses of a claim, and those that it has ceded to others for the time being.
pub(crate) fn all_addresses(claim: &Claim) -> Vec<String> {
    let mut addresses: Vec<String> = claim.addresses().map(|address| address.to_string()).collect();
    addresses.extend(claim.ceded.iter().map(|ceded| format!("{} (ceded)", ceded.assignment.address)));
    addresses
}

/// A number with its noun, which takes an "s" in the plural.
pub fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Print the result of a command and return its exit code. A reader that has gone (`| head`) is not a failure.
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
            if let Some(hint) = error.hint() {
                text.push_str(&format!("\nhint: {}", hint_as_typed(&hint)));
            }
            let _ = writeln!(io::stderr().lock(), "{}", lines(&text));
            1
        }
    }
}

/// Print a part of the output at once. False where the reader has gone.
pub(crate) fn print(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines(text).as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// Print text whose control characters are meant, and from whose names they were taken before.
pub(crate) fn print_as_is(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Forget what was printed before, on a terminal.
pub(crate) fn clear_screen() {
    if io::stdout().is_terminal() {
        let _ = write!(io::stdout().lock(), "\x1b[H\x1b[2J");
    }
}

/// For what is no text but a file: it is written as it is.
pub(crate) fn stdout() -> impl Write {
    io::stdout().lock()
}

/// Print news of a command that is still running, on one line.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{}", one_line(text));
}

/// Put a question on stderr; false where it cannot be written.
pub fn ask(text: &str) -> bool {
    write!(io::stderr().lock(), "{}", lines(text)).is_ok()
}

/// Print what clap says of the arguments. It calls help and version errors, too; their exit code is 0.
pub fn usage(error: &clap::Error) -> u8 {
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// Called by hand without arguments: print an about line and the CNI versions on stderr, as CNI plugins do.
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
        assert_eq!(columns.lines([row(["a1", "b", ""])]), "A   B  C\na1  b\n");
        assert_eq!(columns.lines([row(["a", "wider", "c"])]), "a   wider  c\n");
        assert_eq!(columns.lines([row(["a", "b", "漢\u{1b}"])]), "a   b      漢\\u{1b}\n");
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
