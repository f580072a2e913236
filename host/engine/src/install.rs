//! A module made ready for a node before a network uses it: whatever the first ADD would find out, or wait for, happens
//! now. `kube-ipam policy install` puts the very bytes that were examined in their place.

use std::path::Path;

use super::convert::Description;
use super::{Flaw, Policy, PolicyError, Source, module};
use ipam::PolicyName;

/// A module that every ADD on this node could use.
#[derive(Debug)]
pub struct Ready {
    /// The file as it was examined.
    pub wasm: Vec<u8>,
    /// Its digest, and the name recorded with addresses.
    pub name: PolicyName,
    /// What it says of itself.
    pub description: Description,
    /// Whether its compiled form is where the plugin looks for it, or why it could not be kept.
    pub kept: Result<(), String>,
}

/// Examine a module, compile it into the cache of `source`, and ask it who it is and, where settings are given, whether
/// it understands them. Refused is what an ADD would refuse.
pub fn prepare(file: &Path, source: &Source<'_>, settings: Option<&str>) -> Result<Ready, PolicyError> {
    let wasm = module::read(file).map_err(|flaw| flawed(file, flaw))?;
    // Of the bytes and not of the file again: what is put in its place is what was examined, whoever replaces the file
    // meanwhile.
    let loaded = module::load_bytes(file, &wasm, source).map_err(|flaws| flawed(file, module::first(flaws)))?;
    let policy = Policy::of(loaded, source.limits);
    let description = policy.describe()?;
    if let Some(settings) = settings {
        policy.validate_settings(settings)?;
    }
    let name = policy.name().clone();
    let kept = source.cache_dir.map_or(Ok(()), |dir| module::check_cached(dir, &name.sha256));
    Ok(Ready { wasm, name, description, kept: kept.map_err(|miss| miss.to_string()) })
}

/// Whether an ADD could use a module with these settings. Keeps nothing: what is not in the cache is compiled for this
/// look alone.
pub fn check(file: &Path, source: &Source<'_>, settings: &str) -> Result<(), PolicyError> {
    let wasm = module::read(file).map_err(|flaw| flawed(file, flaw))?;
    let sha256 = module::digest(&wasm);
    let cache_dir = source.cache_dir.filter(|dir| module::check_cached(dir, &sha256).is_ok());
    let source = Source { cache_dir, ..source.clone() };
    prepare(file, &source, Some(settings)).map(drop)
}

fn flawed(file: &Path, flaw: Flaw) -> PolicyError {
    PolicyError::Flawed { module: file.display().to_string(), flaw }
}
