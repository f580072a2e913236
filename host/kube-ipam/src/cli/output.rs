//! Where commands print: results on stdout, errors on stderr with their hints. Nothing that a name holds reaches the
//! terminal as a command.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use cni::Version;
use cni::failure::joined;
use ipam::shown::{lines, one_line};

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

/// An error that may know what to do next.
pub trait Hinted: Error {
    /// A sentence for the person at the terminal.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// Why a command has no output, and what to do next.
#[derive(Debug)]
pub struct CommandError {
    cause: Box<dyn Error>,
    hint: Option<String>,
}

impl<E: Hinted + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        let hint = error.hint();
        Self { cause: Box::new(error), hint }
    }
}

impl CommandError {
    /// What to do next, where the cause does not know it.
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<String> for CommandError {
    fn from(text: String) -> Self {
        Self { cause: text.into(), hint: None }
    }
}

impl From<&str> for CommandError {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&joined(&*self.cause))
    }
}

impl Hinted for crate::verbs::Error {
    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

impl Hinted for io::Error {}
impl Hinted for serde_json::Error {}

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
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| one_line(cell)));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
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
            if let Some(hint) = &error.hint {
                text.push_str(&format!("\nhint: {hint}"));
            }
            let _ = writeln!(io::stderr().lock(), "{}", lines(&text));
            1
        }
    }
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
