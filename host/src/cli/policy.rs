//! `kube-ipam policy …`: for the authors of rules.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::output::{Done, Output};
use super::{Format, OutputArgs};
use crate::limits::Limits;
use crate::policy::compile::COMMAND;
use crate::policy::guest;
use crate::policy::inspect::{self, Inspection};

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// What a module is, needs and offers, and why it would be refused
    Inspect {
        /// The module
        #[arg(value_name = "FILE.wasm")]
        file: PathBuf,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Build the Rust crate of a policy into a component
    Build {
        /// The crate's directory
        #[arg(value_name = "DIR", default_value = ".")]
        directory: PathBuf,
        /// Where the component goes; by default NAME.wasm in the current directory, NAME being the directory's
        #[arg(short, long, value_name = "FILE.wasm")]
        output: Option<PathBuf>,
    },
}

/// The arguments after the hidden command by which the plugin asks its own program to compile a module.
pub(crate) fn compiling_child() -> Option<Vec<String>> {
    let mut arguments = std::env::args().skip(1);
    let is_child = COMMAND.iter().all(|word| arguments.next().as_deref() == Some(word));
    is_child.then(|| arguments.collect())
}

pub(crate) fn run(command: Command) -> Done {
    match command {
        Command::Inspect { file, output } => inspect(&file, output.output),
        Command::Build { directory, output } => build(&directory, output),
    }
}

fn inspect(file: &Path, format: Format) -> Done {
    let inspection = inspect::inspect(file, Limits::default())?;
    let exit = u8::from(!inspection.refused.is_empty());
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&inspection)?,
        Format::Table => describe(&inspection),
    };
    Ok(Output { text, exit })
}

fn describe(inspection: &Inspection) -> String {
    let mut lines = Vec::new();
    if let Some(description) = &inspection.description {
        lines.push(format!("{} {}: {}", description.name, description.version, description.summary));
    }
    lines.push(format!("sha256     {}", inspection.sha256));
    lines.push(format!("interface  {}", inspection.interface.as_deref().unwrap_or("none")));
    let compiled = inspection.compiled_bytes.map_or_else(String::new, |bytes| format!(", {bytes} bytes compiled"));
    lines.push(format!("size       {} bytes{compiled}", inspection.bytes));
    lines.extend(inspection.imports.iter().map(|name| format!("imports    {name}")));
    lines.extend(inspection.exports.iter().map(|name| format!("exports    {name}")));
    let schema = inspection.description.as_ref().map(|description| description.settings_schema.as_str());
    if let Some(schema) = schema.filter(|schema| !schema.is_empty()) {
        lines.push(format!("settings   {schema}"));
    }
    lines.extend(inspection.refused.iter().map(|reason| format!("refused    {reason}")));
    lines.join("\n")
}

fn build(directory: &Path, output: Option<PathBuf>) -> Done {
    let directory = directory.canonicalize()?;
    let component = guest::build(&directory, &directory.join("target"))?;
    let output = output.unwrap_or_else(|| {
        let name = directory.file_name().unwrap_or("policy".as_ref());
        PathBuf::from(name).with_extension("wasm")
    });
    std::fs::write(&output, &component)?;
    Ok(Output::text(format!("{}: {} bytes", output.display(), component.len())))
}
