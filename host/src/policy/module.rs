//! From a configuration's words to a module that is ready to run: read, compare with the pin, take the compiled form
//! from the cache or have it made, link.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::bindings::AllocationPolicyPre;
use super::cache::{Cache, Miss};
use super::compile::{Compiler, Flaws};
use super::error::{Flaw, PolicyError};
use super::sandbox::Sandbox;
use super::{engine, native, world};
use crate::ipam::PolicyName;
use crate::limits::{Limits, MODULE};

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
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) name: PolicyName,
    /// What errors call it.
    pub(super) label: String,
    pub(super) pre: AllocationPolicyPre<Sandbox>,
    /// Size of the native code, where it was not built in.
    pub(super) code_bytes: Option<u64>,
}

/// Load the module of a source, or say what is wrong with it.
pub(super) fn load(source: &Source<'_>) -> Result<Loaded, PolicyError> {
    match source.module {
        None => load_default(source),
        Some(path) => load_file(path, source),
    }
}

fn load_file(path: &Path, source: &Source<'_>) -> Result<Loaded, PolicyError> {
    let flawed = |flaw| PolicyError::Flawed { module: path.display().to_string(), flaw };
    let wasm = read(path).map_err(flawed)?;
    load_bytes(path, &wasm, source).map_err(|flaws| flawed(first(flaws)))
}

/// Load a module that was read from this path.
pub(super) fn load_bytes(path: &Path, wasm: &[u8], source: &Source<'_>) -> Result<Loaded, Flaws> {
    let sha256 = digest(wasm);
    check_pin(source.sha256, &sha256).map_err(|flaw| vec![flaw])?;
    let Compiled { component, bytes } = compiled(wasm, &sha256, source)?;
    let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let name = PolicyName { name: part(path.file_stem()), sha256, instead_of: None };
    finish(name, part(path.file_name()), &component, Some(bytes)).map_err(|flaw| vec![flaw])
}

/// One reason is enough to refuse a module.
pub(super) fn first(flaws: Flaws) -> Flaw {
    flaws.into_iter().next().unwrap_or_else(|| Flaw::Compiler("no reason was given".to_owned()))
}

fn load_default(source: &Source<'_>) -> Result<Loaded, PolicyError> {
    let flawed = |flaw| PolicyError::Flawed { module: format!("{DEFAULT_NAME} (built in)"), flaw };
    check_pin(source.sha256, DEFAULT_SHA256).map_err(flawed)?;
    let component = running_engine()
        .and_then(native::default_policy)
        .map_err(|error| flawed(Flaw::Compiler(format!("the built-in code does not load: {error:#}"))))?;
    let name = PolicyName { name: DEFAULT_NAME.to_owned(), sha256: DEFAULT_SHA256.to_owned(), instead_of: None };
    finish(name, DEFAULT_NAME.to_owned(), &component, None).map_err(flawed)
}

fn finish(name: PolicyName, label: String, component: &Component, code_bytes: Option<u64>) -> Result<Loaded, Flaw> {
    Ok(Loaded { name, label, pre: world::link(component)?, code_bytes })
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

/// The module file, bounded.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Flaw> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Flaw::Missing,
        _ => Flaw::Unreadable(error.to_string()),
    };
    // To open a named pipe would be to wait for its writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Flaw::Unreadable("it is no regular file".to_owned()));
    }
    let most = MODULE.default << 20;
    if metadata.len() > most {
        return Err(Flaw::TooLarge { bytes: metadata.len(), most_mib: MODULE.default });
    }
    let mut wasm = Vec::with_capacity(metadata.len() as usize + 1);
    file.take(most).read_to_end(&mut wasm).map_err(unreadable)?;
    Ok(wasm)
}

/// SHA-256 as 64 hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn check_pin(pin: Option<&str>, found: &str) -> Result<(), Flaw> {
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

/// Whether a module's compiled form is in the cache, or why it is not, or is not believed. Makes nothing.
pub(super) fn check_cached(dir: &Path, sha256: &str) -> Result<(), Miss> {
    match dir.exists() {
        true => Cache::open(dir)?.get(&entry_name(sha256)).map(drop),
        false => Err(Miss::Absent),
    }
}

fn entry_name(sha256: &str) -> String {
    format!("{sha256}-{ENGINE}-{TARGET}.cwasm")
}

struct Compiled {
    component: Component,
    bytes: u64,
}

/// From the cache, or else compiled once and kept. A cache that cannot be used costs time, not the address.
fn compiled(wasm: &[u8], sha256: &str, source: &Source<'_>) -> Result<Compiled, Flaws> {
    let engine = running_engine().map_err(|error| vec![Flaw::Compiler(format!("{error:#}"))])?;
    let name = entry_name(sha256);
    let open = |dir| Cache::open(dir).inspect_err(|miss| unusable(dir, miss)).ok();
    let cache = source.cache_dir.and_then(open);
    if let Some(compiled) = cache.as_ref().and_then(|cache| cached(cache, &name, engine)) {
        return Ok(compiled);
    }
    let _lock = cache.as_ref().map(|cache| cache.lock(Duration::from_secs(source.limits.compile_seconds)));
    if let Some(compiled) = cache.as_ref().and_then(|cache| cached(cache, &name, engine)) {
        return Ok(compiled);
    }
    let artifact = source.compiler.compile(wasm, source.limits)?;
    if let Some((cache, dir)) = cache.zip(source.cache_dir) {
        cache.prune();
        if let Err(error) = cache.put(&name, &artifact) {
            unusable(dir, &Miss::Io(name, error));
        }
    }
    load_code(engine, &artifact)
        .map_err(|error| vec![Flaw::Compiler(format!("the compiled code does not load: {error:#}"))])
}

fn load_code(engine: &Engine, artifact: &[u8]) -> wasmtime::Result<Compiled> {
    Ok(Compiled { component: native::compiled(engine, artifact)?, bytes: artifact.len() as u64 })
}

fn cached(cache: &Cache, name: &str, engine: &Engine) -> Option<Compiled> {
    match cache.get(name) {
        Ok(artifact) => load_code(engine, &artifact)
            .inspect_err(|error| tracing::warn!(name, "cached policy not used: {error:#}"))
            .ok(),
        Err(miss @ Miss::Absent) => {
            tracing::debug!(name, "cached policy not used: {miss}");
            None
        }
        Err(miss) => {
            tracing::warn!(name, "cached policy not used: {miss}");
            None
        }
    }
}

fn unusable(cache_dir: &Path, miss: &Miss) {
    tracing::warn!(cache = %cache_dir.display(), "the policy is compiled again by every call, its cache being unusable: {miss}");
}
