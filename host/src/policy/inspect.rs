//! Everything about a module that can be told without a network: for `kube-ipam policy inspect`.

use std::path::Path;

use serde::Serialize;

use super::compile::Compiler;
use super::convert::Description;
use super::error::Flaw;
use super::file::ModuleFile;
use super::{Policy, examine, module};
use crate::limits::Limits;

/// What there is to know of a module file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// SHA-256 of the file: what `policy.sha256` pins.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// Size of its compiled form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiled_bytes: Option<u64>,
    /// The interface it speaks, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Every interface it imports.
    pub imports: Vec<String>,
    /// Every interface it exports.
    pub exports: Vec<String>,
    /// What it says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Every reason for which it would be refused; none for a usable policy.
    pub refused: Vec<String>,
}

/// Inspect a module file; `Err` when there is no file to inspect.
pub fn inspect(path: &Path, limits: Limits) -> Result<Inspection, Flaw> {
    let wasm = ModuleFile::open(path)?.read()?;
    let examined = examine::examine(&wasm);
    let mut inspection = Inspection {
        sha256: module::digest(&wasm),
        bytes: wasm.len() as u64,
        compiled_bytes: None,
        interface: examined.exports.iter().find(|name| name.starts_with(examine::PACKAGE)).cloned(),
        imports: examined.imports,
        exports: examined.exports,
        description: None,
        refused: examined.flaws.iter().map(ToString::to_string).collect(),
    };
    if inspection.refused.is_empty() {
        run(path, &wasm, limits, &mut inspection);
    }
    Ok(inspection)
}

/// What only compiling and running it can tell.
fn run(path: &Path, wasm: &[u8], limits: Limits, inspection: &mut Inspection) {
    let artifact = match Compiler::InProcess.compile(wasm, limits) {
        Ok(artifact) => artifact,
        Err(flaw) => return inspection.refused.push(flaw.to_string()),
    };
    inspection.compiled_bytes = Some(artifact.len() as u64);
    let policy = match module::load_artifact(path, inspection.sha256.clone(), &artifact) {
        Ok(loaded) => Policy::of(loaded, limits),
        Err(flaw) => return inspection.refused.push(flaw.to_string()),
    };
    match policy.describe() {
        Ok(description) => inspection.description = Some(description),
        Err(error) => inspection.refused.push(error.to_string()),
    }
}
