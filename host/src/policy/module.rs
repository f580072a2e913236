//! From a configuration's words to a module that is ready to run: read, compare with the pin, take the compiled form
//! from the cache or have it made, link.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::bindings::AllocationPolicyPre;
use super::cache::{Cache, Miss};
use super::compile::Compiler;
use super::error::{Flaw, PolicyError};
use super::file::{ModuleFile, Stamp};
use super::known::Known;
use super::sandbox::Sandbox;
use super::{engine, native, world};
use crate::ipam::PolicyName;
use crate::limits::Limits;

/// What modules are compiled for: the target of this very binary.
pub(super) const TARGET: &str = env!("KUBE_IPAM_TARGET");
/// Changes with wasmtime's version and with [`engine::config`].
const ENGINE: &str = env!("KUBE_IPAM_ENGINE");
/// The policy that is compiled into the binary, and its digest.
const DEFAULT_NAME: &str = "range-fixed";
const DEFAULT_SHA256: &str = env!("KUBE_IPAM_DEFAULT_POLICY_SHA256");

/// Where a network's policy comes from, and what it may spend.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// `policy.module`; the built-in policy without it.
    pub module: Option<&'a Path>,
    /// `policy.sha256`.
    pub sha256: Option<&'a str>,
    /// Where compiled modules are kept; nowhere, for a module that is only looked at.
    pub cache_dir: Option<&'a Path>,
    /// `policy.limits` over the defaults.
    pub limits: Limits,
    /// Who compiles what is not in the cache.
    pub compiler: Compiler,
}

/// A module that may run.
pub(super) struct Loaded {
    pub(super) name: PolicyName,
    /// What errors call it.
    pub(super) label: String,
    pub(super) pre: AllocationPolicyPre<Sandbox>,
}

/// Load the module of a source, or say what is wrong with it.
pub(super) fn load(source: &Source<'_>) -> Result<Loaded, PolicyError> {
    match source.module {
        None => load_default(source),
        Some(path) => load_file(path, source),
    }
}

fn load_default(source: &Source<'_>) -> Result<Loaded, PolicyError> {
    let flawed = |flaw| PolicyError::Flawed { module: format!("{DEFAULT_NAME} (built in)"), flaw };
    check_pin(source.sha256, DEFAULT_SHA256).map_err(flawed)?;
    let component = running_engine()
        .and_then(native::default_policy)
        .map_err(|error| flawed(Flaw::Compiler(format!("the built-in code does not load: {error:#}"))))?;
    let name = PolicyName { name: DEFAULT_NAME.to_owned(), sha256: DEFAULT_SHA256.to_owned() };
    finish(name, DEFAULT_NAME.to_owned(), &component).map_err(flawed)
}

fn load_file(path: &Path, source: &Source<'_>) -> Result<Loaded, PolicyError> {
    let flawed = |flaw| PolicyError::Flawed { module: path.display().to_string(), flaw };
    let (sha256, component) = compiled_file(path, source).map_err(flawed)?;
    finish(name_of(path, sha256), label_of(path), &component).map_err(flawed)
}

/// The digest and the code of a module file. What an earlier call found out of this very file is taken for granted;
/// otherwise the file is read, compared with the pin, and found in the cache or compiled.
fn compiled_file(path: &Path, source: &Source<'_>) -> Result<(String, Component), Flaw> {
    let engine = running_engine().map_err(|error| Flaw::Compiler(format!("{error:#}")))?;
    let file = ModuleFile::open(path)?;
    let open = |dir| Cache::open(dir).inspect_err(|miss| unusable(dir, miss)).ok();
    let cache = source.cache_dir.and_then(open);
    if let Some((cache, known)) = cache.as_ref().and_then(|cache| Some((cache, Known::recall(cache, &file.stamp)?))) {
        check_pin(source.sha256, &known.sha256)?;
        if let Some((component, _)) = cached(cache, &known.sha256, Some(&known.code), engine) {
            return Ok((known.sha256, component));
        }
    }
    let wasm = file.read()?;
    let sha256 = digest(&wasm);
    check_pin(source.sha256, &sha256)?;
    let (component, code) = compiled(&wasm, &sha256, cache.as_ref(), source, engine)?;
    if let (Some(cache), Some(code)) = (cache, code)
        && file.stamp.is_settled()
        && file.is_unchanged()
    {
        Known { module: file.stamp, sha256: sha256.clone(), code }.remember(&cache);
    }
    Ok((sha256, component))
}

/// A module that was just compiled in this process, without a cache.
pub(super) fn load_artifact(path: &Path, sha256: String, artifact: &[u8]) -> Result<Loaded, Flaw> {
    let broken = |error| Flaw::Compiler(format!("the compiled code does not load: {error:#}"));
    let component = running_engine().and_then(|engine| native::compiled(engine, artifact)).map_err(broken)?;
    finish(name_of(path, sha256), label_of(path), &component)
}

fn name_of(path: &Path, sha256: String) -> PolicyName {
    PolicyName { name: text(path.file_stem()), sha256 }
}

fn label_of(path: &Path) -> String {
    text(path.file_name())
}

fn text(part: Option<&OsStr>) -> String {
    part.unwrap_or_default().to_string_lossy().into_owned()
}

fn finish(name: PolicyName, label: String, component: &Component) -> Result<Loaded, Flaw> {
    Ok(Loaded { name, label, pre: world::link(component)? })
}

/// The one engine of this process; it cannot compile.
fn running_engine() -> wasmtime::Result<&'static Engine> {
    static RUNNING: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = RUNNING.get() {
        return Ok(engine);
    }
    let mut config = engine::config(TARGET)?;
    config.enable_compiler(false);
    native::allow_in_place(&mut config);
    let engine = Engine::new(&config)?;
    Ok(RUNNING.get_or_init(|| engine))
}

/// SHA-256 as 64 hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check_pin(pin: Option<&str>, found: &str) -> Result<(), Flaw> {
    let Some(pin) = pin else { return Ok(()) };
    let expected = pin.strip_prefix("sha256:").unwrap_or(pin).to_ascii_lowercase();
    if expected.len() != 64 || !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Flaw::BadPin(pin.to_owned()));
    }
    if expected != found {
        return Err(Flaw::OtherDigest { expected, found: found.to_owned() });
    }
    Ok(())
}

/// From the cache, with the stamp of what it holds, or else compiled once and kept. A cache that cannot be used costs
/// time, not the address.
fn compiled(
    wasm: &[u8],
    sha256: &str,
    cache: Option<&Cache>,
    source: &Source<'_>,
    engine: &Engine,
) -> Result<(Component, Option<Stamp>), Flaw> {
    let kept = || cache.and_then(|cache| cached(cache, sha256, None, engine));
    if let Some((component, code)) = kept() {
        return Ok((component, Some(code)));
    }
    let _lock = cache.map(|cache| cache.lock(Duration::from_secs(source.limits.compile_seconds)));
    if let Some((component, code)) = kept() {
        return Ok((component, Some(code)));
    }
    let artifact = source.compiler.compile(wasm, source.limits)?;
    if let Some((cache, dir)) = cache.zip(source.cache_dir) {
        cache.prune();
        if let Err(error) = cache.put(&entry_name(sha256), &artifact) {
            unusable(dir, &Miss::Io(entry_name(sha256), error));
        }
    }
    let component = native::compiled(engine, &artifact)
        .map_err(|error| Flaw::Compiler(format!("the compiled code does not load: {error:#}")))?;
    Ok((component, None))
}

fn entry_name(sha256: &str) -> String {
    format!("{sha256}-{ENGINE}-{TARGET}.cwasm")
}

/// The code of a module in the cache, and its stamp. An entry whose checksum was right before is mapped, so that pages
/// which are not needed are not even read.
fn cached(cache: &Cache, sha256: &str, checked: Option<&Stamp>, engine: &Engine) -> Option<(Component, Stamp)> {
    let name = entry_name(sha256);
    let not_used = |why: &dyn std::fmt::Display| tracing::warn!(name, "cached policy not used: {why}");
    let entry = match cache.find(&name) {
        Ok(entry) => entry,
        Err(miss @ Miss::Absent) => {
            tracing::debug!(name, "cached policy not used: {miss}");
            return None;
        }
        Err(miss) => {
            not_used(&miss);
            return None;
        }
    };
    if checked == Some(&entry.stamp)
        && let Ok(component) = native::mapped(engine, &entry.file)
    {
        return Some((component, entry.stamp));
    }
    let artifact = entry.read().inspect_err(|miss| not_used(miss)).ok()?;
    let component = native::compiled(engine, &artifact).inspect_err(|error| not_used(&format!("{error:#}"))).ok()?;
    Some((component, entry.stamp))
}

fn unusable(cache_dir: &Path, miss: &Miss) {
    tracing::warn!(cache = %cache_dir.display(), "the policy is compiled again by every call, its cache being unusable: {miss}");
}
