//! Runs the tools of a language, and says in the author's terms why one did not do its work.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::GuestError;

/// Run a tool to its end. `hint` says how to install it.
pub(super) fn run(tool: &str, command: &mut Command, directory: &Path, hint: &str) -> Result<Output, GuestError> {
    // Some compilers are Rust programs; where in them an error was made does not help an author.
    command.env("RUST_BACKTRACE", "0").env("RUST_LIB_BACKTRACE", "0");
    let output = command.output().map_err(|source| match source.kind() {
        ErrorKind::NotFound => missing(tool, directory, hint),
        _ => GuestError::Tool { tool: tool.to_owned(), source },
    })?;
    if !output.status.success() {
        return Err(failed(tool, directory, &output));
    }
    Ok(output)
}

pub(super) fn missing(tool: &str, directory: &Path, hint: &str) -> GuestError {
    GuestError::NoTool { tool: tool.to_owned(), directory: directory.display().to_string(), hint: hint.to_owned() }
}

fn failed(tool: &str, directory: &Path, output: &Output) -> GuestError {
    // Compilers differ in where they write what is wrong.
    let mut said = Vec::new();
    for bytes in [&output.stderr, &output.stdout] {
        let text = String::from_utf8_lossy(bytes).trim().to_owned();
        if !text.is_empty() {
            said.push(text);
        }
    }
    if said.is_empty() {
        said.push(format!("it ended with {}", output.status));
    }
    GuestError::Build { tool: tool.to_owned(), directory: directory.display().to_string(), said: said.join("\n") }
}

/// Make the directory for what is made on the way to a component.
pub(super) fn target(directory: &Path) -> Result<PathBuf, GuestError> {
    let target = directory.join("target");
    std::fs::create_dir_all(&target).map_err(GuestError::file(&target))?;
    Ok(target)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, GuestError> {
    std::fs::read(path).map_err(GuestError::file(path))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), GuestError> {
    std::fs::write(path, text).map_err(GuestError::file(path))
}
