//! `kube-ipam policy inspect`: a module, looked at from outside.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::output::{Done, Output};
use crate::cli::{Format, OutputArgs};
use crate::verbs;
use engine::inspect::{self, Inspection};
use engine::{Compiler, Source};
use limits::Limits;

#[derive(Args, Debug)]
pub struct Options {
    /// The module
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The digest it should have
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn inspect(options: &Options) -> Done {
    let inspection = look(&options.file, options.sha256.as_deref())?;
    let exit = u8::from(!inspection.refused.is_empty());
    let text = match options.output.output {
        Format::Json => serde_json::to_string_pretty(&inspection)?,
        Format::Table => describe(&inspection),
    };
    Ok(Output { text, exit })
}

/// As a node without a cache would see the module.
pub fn look(file: &Path, sha256: Option<&str>) -> Result<Inspection, verbs::Error> {
    let (limits, compiler) = (Limits::default(), Compiler::Child);
    Ok(inspect::inspect(&Source { module: Some(file), sha256, cache_dir: None, limits, compiler, deadline: None })?)
}

pub fn describe(inspection: &Inspection) -> String {
    let mut lines = Vec::new();
    if let Some(description) = &inspection.description {
        lines.push(format!("{} {}: {}", description.name, description.version, description.summary));
    }
    lines.extend(inspection.sha256.iter().map(|digest| format!("sha256     {digest}")));
    lines.push(format!("interface  {}", inspection.interface.as_deref().unwrap_or("none")));
    let compiled = inspection.compiled_bytes.map_or_else(String::new, |bytes| format!(", {bytes} bytes compiled"));
    lines.extend(inspection.bytes.iter().map(|bytes| format!("size       {bytes} bytes{compiled}")));
    lines.extend(inspection.imports.iter().map(|name| format!("imports    {name}")));
    lines.extend(inspection.exports.iter().map(|name| format!("exports    {name}")));
    if let Some(names) = inspection.description.as_ref().and_then(|description| description.annotations.as_ref()) {
        lines.push(format!("reads      {}", names.join(", ")));
    }
    let schema = inspection.description.as_ref().map(|description| description.settings_schema.as_str());
    if let Some(schema) = schema.filter(|schema| !schema.is_empty()) {
        lines.push(format!("settings   {schema}"));
    }
    lines.extend(inspection.warnings.iter().map(|warning| format!("warning    {warning}")));
    lines.extend(inspection.refused.iter().map(|reason| format!("refused    {reason}")));
    lines.extend(inspection.hints.iter().map(|hint| format!("hint       {hint}")));
    lines.join("\n")
}
