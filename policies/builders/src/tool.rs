//! Running the tools of a language, and saying in the author's terms why one did not do its work.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::GuestError;

/// Run a tool to its end: its output, or what it said.
pub(super) fn run(tool: &str, command: &mut Command, directory: &Path, way_out: &str) -> Result<Output, GuestError> {
    // Where in a compiler its own error was made is nothing to an author.
    command.env("RUST_BACKTRACE", "0").env("RUST_LIB_BACKTRACE", "0");
    let output = command.output().map_err(|source| match source.kind() {
        ErrorKind::NotFound => missing(tool, directory, way_out),
        _ => GuestError::Tool { tool: tool.to_owned(), source },
    })?;
    match output.status.success() {
        true => Ok(output),
        false => Err(failed(tool, directory, &output)),
    }
}

pub(super) fn missing(tool: &str, directory: &Path, way_out: &str) -> GuestError {
    GuestError::NoTool {
        tool: tool.to_owned(),
        directory: directory.display().to_string(),
        way_out: way_out.to_owned(),
    }
}

pub(super) fn failed(tool: &str, directory: &Path, output: &Output) -> GuestError {
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    let said: Vec<String> = said.into_iter().filter(|text| !text.is_empty()).collect();
    let said = if said.is_empty() { format!("it ended with {}", output.status) } else { said.join("\n") };
    GuestError::Build { tool: tool.to_owned(), directory: directory.display().to_string(), said }
}

/// Where what is made on the way goes.
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
