//! `kube-ipam policy inspect`: what a module imports, exports and says of itself.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::output::{Done, Format, Output, OutputArgs};
use crate::verbs;
use engine::inspect::{self, Inspection};
use engine::{Compiler, Source};
use limits::Limits;

#[derive(Args, Debug)]
pub struct InspectOptions {
    /// The module to inspect
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The digest it should have
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn inspect(options: &InspectOptions) -> Done {
    let inspection = look(&options.file, options.sha256.as_deref())?;
    let exit = u8::from(!inspection.refused.is_empty());
    let text = match options.output.output {
        Format::Json => serde_json::to_string_pretty(&inspection)?,
        Format::Table => describe(&inspection),
    };
    Ok(Output { text, exit })
}

/// Inspects a module as a node without a cache would load it.
pub fn look(file: &Path, sha256: Option<&str>) -> Result<Inspection, verbs::Error> {
    let (limits, compiler) = (Limits::default(), Compiler::Child);
    Ok(inspect::inspect(&Source { module: Some(file), sha256, cache_dir: None, limits, compiler, deadline: None })?)
}

pub fn describe(inspection: &Inspection) -> String {
    let mut lines = Vec::new();
    let description = inspection.description.as_ref();
    if let Some(description) = description {
        lines.push(format!("{} {}: {}", description.name, description.version, description.summary));
    }
    lines.extend(inspection.sha256.iter().map(|digest| format!("sha256     {digest}")));
    lines.push(format!("interface  {}", inspection.interface.as_deref().unwrap_or("none")));
    if let Some(bytes) = inspection.bytes {
        let compiled = inspection.compiled_bytes.map(|bytes| format!(", {bytes} bytes compiled")).unwrap_or_default();
        lines.push(format!("size       {bytes} bytes{compiled}"));
    }
    lines.extend(inspection.imports.iter().map(|name| format!("imports    {name}")));
    lines.extend(inspection.exports.iter().map(|name| format!("exports    {name}")));
    if let Some(names) = description.and_then(|description| description.annotations.as_ref()) {
        lines.push(format!("reads      {}", names.join(", ")));
    }
    if let Some(description) = description
        && !description.settings_schema.is_empty()
    {
        lines.push(format!("settings   {}", description.settings_schema));
    }
    lines.extend(inspection.warnings.iter().map(|warning| format!("warning    {warning}")));
    lines.extend(inspection.refused.iter().map(|reason| format!("refused    {reason}")));
    lines.extend(inspection.hints.iter().map(|hint| format!("hint       {hint}")));
    lines.join("\n")
}
