//! Everything about a module that can be told without a pod: for `kube-ipam policy inspect` and `policy ls`.

use std::path::Path;

use serde::Serialize;

use super::convert::{ANNOTATIONS, Description};
use super::error::Flaw;
use super::{Policy, PolicyError, Source, examine, module};

/// What there is to know of a module.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// SHA-256 of the file: what `policy.sha256` pins. Absent for a file too large to be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Size of the file; absent for the built-in module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Size of its compiled form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiled_bytes: Option<u64>,
    /// Whether the compiled form is kept on this node, so that no ADD waits for it; absent where no cache was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<bool>,
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
    /// What to do next, for the reasons of which that is known.
    pub hints: Vec<String>,
    /// Nothing to refuse it for, but worth correcting.
    pub warnings: Vec<String>,
}

/// Inspect the module file of a source; without one, the built-in module. `Err` when there is no file to inspect.
/// Keeps nothing: what is not in the cache is compiled for this look alone.
pub fn inspect(source: &Source<'_>) -> Result<Inspection, PolicyError> {
    let Some(path) = source.module else { return built_in(source) };
    let module = path.display().to_string();
    let wasm = match module::read(path) {
        Ok(wasm) => wasm,
        Err(flaw @ Flaw::TooLarge { bytes, .. }) => {
            let mut inspection = Inspection { bytes: Some(bytes), ..Inspection::default() };
            inspection.refuse(&module, &[flaw]);
            return Ok(inspection);
        }
        Err(flaw) => return Err(PolicyError::Flawed { module, flaw }),
    };
    let sha256 = module::digest(&wasm);
    let examined = examine::examine(&wasm);
    let mut inspection = Inspection {
        bytes: Some(wasm.len() as u64),
        kept: source.cache_dir.map(|dir| module::check_cached(dir, &sha256).is_ok()),
        interface: examined.exports.iter().find(|name| name.starts_with(examine::PACKAGE)).cloned(),
        imports: examined.imports,
        exports: examined.exports,
        ..Inspection::default()
    };
    inspection.refuse(&module, module::check_pin(source.sha256, &sha256).err().as_slice());
    inspection.sha256 = Some(sha256);
    match examined.flaws.as_slice() {
        [] => inspection.run(path, &wasm, source),
        flaws => inspection.refuse(&module, flaws),
    }
    Ok(inspection)
}

fn built_in(source: &Source<'_>) -> Result<Inspection, PolicyError> {
    let policy = Policy::load(source)?;
    let sha256 = Some(policy.name().sha256.clone());
    let interface = Some(examine::ALLOCATOR.clone());
    let mut inspection = Inspection { sha256, interface, kept: Some(true), ..Inspection::default() };
    inspection.ask(&policy);
    Ok(inspection)
}

impl Inspection {
    /// Of a module that could not even be looked at.
    pub fn refused_for(error: &PolicyError) -> Self {
        let mut inspection = Self::default();
        inspection.blame(error);
        inspection
    }

    /// What only compiling and running it can tell.
    fn run(&mut self, path: &Path, wasm: &[u8], source: &Source<'_>) {
        // To look is not to keep: what is not in the cache is compiled, and forgotten.
        let cache_dir = if self.kept == Some(true) { source.cache_dir } else { None };
        // Another digest than the pinned one is a reason to refuse it, not one to look away.
        let source = Source { sha256: None, cache_dir, ..source.clone() };
        match module::load_bytes(path, wasm, &source) {
            Ok(loaded) => {
                self.compiled_bytes = loaded.code_bytes;
                self.ask(&Policy::of(loaded, source.limits));
            }
            Err(flaws) => self.refuse(&path.display().to_string(), &flaws),
        }
    }

    fn ask(&mut self, policy: &Policy) {
        match policy.describe() {
            Ok(description) => self.description = Some(description),
            Err(error) => self.blame(&error),
        }
        match policy.validate_settings("{}") {
            Ok(()) => {}
            Err(error @ PolicyError::Settings { .. }) => self.warnings.push(format!("without settings, {error}")),
            Err(error) => self.blame(&error),
        }
        self.warnings.extend(self.description.as_ref().and_then(flaw_of_schema));
    }

    /// What keeps a module from starting is wrong with every function of it, and said once.
    fn blame(&mut self, error: &PolicyError) {
        let text = error.to_string();
        if !self.refused.contains(&text) {
            self.refused.push(text);
            self.hints.extend(error.hint());
        }
    }

    fn refuse(&mut self, module: &str, flaws: &[Flaw]) {
        self.refused.extend(flaws.iter().map(ToString::to_string));
        self.hints.extend(flaws.iter().filter_map(|flaw| flaw.way_out(module)));
        self.hints.dedup();
    }
}

/// Only people and editors read the schema, so no ADD fails for it.
fn flaw_of_schema(description: &Description) -> Option<String> {
    let schema = &description.settings_schema;
    match serde_json::from_str(schema) {
        _ if schema.is_empty() => None,
        Ok(serde_json::Value::Object(schema))
            if schema.contains_key(ANNOTATIONS) && description.annotations.is_none() =>
        {
            Some(format!("{ANNOTATIONS} of its settings schema is not a list of names, and counts as absent"))
        }
        Ok(serde_json::Value::Object(_)) => None,
        Ok(_) => Some("its settings schema is not a JSON object".to_owned()),
        Err(error) => Some(format!("its settings schema is not JSON: {error}")),
    }
}
