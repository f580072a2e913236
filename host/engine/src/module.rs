//! From a configuration's words to a module that is ready to run.
//!
//! ```text
//!  file ─► is it the one a note knows? ── yes ── pin ── its code in the cache, mapped ──┐
//!               │ no                                      │ not there                    │
//!               └──► read all of it ◄─────────────────────┘                              ├─► link
//!                       └─► digest ── pin ── cache, or lock, cache again, compile ───────┤
//!  no file ─► the code of the built-in module, where it lies in this program ────────────┘
//! ```
//!
//! The upper way is an ADD's: it reads some hundred bytes of a module that may have many megabytes. Where it leads to no
//! code, the lower one is taken, which believes nothing but the bytes of the file.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::bindings::AllocationPolicyPre;
use super::cache::{Cache, Lock, Miss};
use super::compile::{Compiler, Errand, Flaws};
use super::error::{Compiling, Flaw, PolicyError};
use super::file::{ModuleFile, Stamp};
use super::known::{Known, Told};
use super::sandbox::Sandbox;
use super::{Policy, native, turn, world};
use ipam::PolicyName;
use limits::Limits;

/// What modules are compiled for: the target of this very binary.
pub(super) const TARGET: &str = env!("KUBE_IPAM_TARGET");
/// Changes with wasmtime's version and with [`compiler::config`].
const ENGINE: &str = env!("KUBE_IPAM_ENGINE");
/// The policy that is compiled into the binary, and its digest.
const DEFAULT_NAME: &str = "range-fixed";
const DEFAULT_SHA256: &str = env!("KUBE_IPAM_DEFAULT_POLICY_SHA256");
/// It as a component.
pub const DEFAULT_POLICY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.wasm"));

/// Where a network's policy comes from, and what it may spend.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// `policy.module`; the built-in policy without it.
    pub module: Option<&'a Path>,
    /// `policy.sha256`: the only digest that the module may have.
    pub sha256: Option<&'a str>,
    /// Where compiled modules are kept; nowhere, for a module that is only looked at.
    pub cache_dir: Option<&'a Path>,
    /// `policy.limits` over the defaults.
    pub limits: Limits,
    /// Who compiles what is not in the cache.
    pub compiler: Compiler,
    /// Nobody is waited for after this moment: neither the compiler nor another process that compiles.
    pub deadline: Option<Instant>,
}

impl<'a> Source<'a> {
    /// A module away from any network: compiled by this process, kept nowhere, with the default limits. Without a file,
    /// the built-in one.
    pub fn alone(module: Option<&'a Path>) -> Self {
        let (limits, compiler) = (Limits::default(), Compiler::InProcess);
        Self { module, sha256: None, cache_dir: None, limits, compiler, deadline: None }
    }
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
    /// What it says of annotations, as far as that is known without asking it. Of the built-in one nobody asks.
    pub(super) told: Told,
}

/// Load the module of a source, or say what is wrong with it.
pub(super) fn load(source: &Source<'_>) -> Result<Loaded, PolicyError> {
    match source.module {
        None => load_default(source),
        Some(path) => load_file(path, source),
    }
}

fn load_file(path: &Path, source: &Source<'_>) -> Result<Loaded, PolicyError> {
    find_module(path, source)
        .map_err(|flaws| PolicyError::Flawed { module: path.display().to_string(), flaw: first(flaws) })
}

/// Load a module that was read from this path.
pub(super) fn load_bytes(path: &Path, wasm: &[u8], source: &Source<'_>) -> Result<Loaded, Flaws> {
    let sha256 = digest(wasm);
    check_pin(source.sha256, &sha256).map_err(one)?;
    let compiled = compiled(wasm, &sha256, &open_cache(source), source)?;
    finish(path, sha256, compiled, None)
}

/// The module of a file. What an earlier call found out of this very file is taken for granted; otherwise the file is read,
/// compared with the pin, and found in the cache or compiled.
fn find_module(path: &Path, source: &Source<'_>) -> Result<Loaded, Flaws> {
    let file = ModuleFile::open(path).map_err(one)?;
    let cache = open_cache(source);
    if let Ok(cache) = &cache
        && let Some(known) = Known::recall(cache, &file.stamp)
    {
        check_pin(source.sha256, &known.sha256).map_err(one)?;
        if let Some(compiled) = cached(cache, &known.sha256, Some(&known.code))? {
            return finish(path, known.sha256, compiled, known.annotations);
        }
    }
    let wasm = file.read().map_err(one)?;
    let sha256 = digest(&wasm);
    check_pin(source.sha256, &sha256).map_err(one)?;
    let compiled = compiled(&wasm, &sha256, &cache, source)?;
    let kept = compiled.kept;
    let mut loaded = finish(path, sha256, compiled, None)?;
    // A note is only made of a file that could not change again without its stamp showing it, and that did not change while
    // it was read.
    if let (Ok(cache), Some(code)) = (cache, kept)
        && file.stamp.is_settled()
        && file.is_unchanged()
    {
        // The module is asked for its annotations here, once, so that not every ADD of a pod with some of ours has to.
        loaded.told = Policy::of(loaded.clone(), source.limits).describe().ok().map(|said| said.annotations);
        let (sha256, annotations) = (loaded.name.sha256.clone(), loaded.told.clone());
        Known { module: file.stamp, sha256, code, annotations }.remember(&cache);
    }
    Ok(loaded)
}

fn one(flaw: Flaw) -> Flaws {
    vec![flaw]
}

/// One reason is enough to refuse a module.
pub(super) fn first(flaws: Flaws) -> Flaw {
    flaws.into_iter().next().unwrap_or_else(|| Flaw::Compiler("no reason was given".to_owned()))
}

fn load_default(source: &Source<'_>) -> Result<Loaded, PolicyError> {
    find_default(source).map_err(|flaw| PolicyError::Flawed { module: format!("{DEFAULT_NAME} (built in)"), flaw })
}

fn find_default(source: &Source<'_>) -> Result<Loaded, Flaw> {
    check_pin(source.sha256, DEFAULT_SHA256)?;
    let component = if native::HAS_DEFAULT_POLICY {
        running_engine()
            .and_then(native::default_policy)
            .map_err(|error| Flaw::Compiler(format!("the built-in code does not load: {error:#}")))?
    } else {
        // A plain `cargo build` leaves the compiling to us: once, for the cache.
        let cache = open_cache(source);
        compiled(DEFAULT_POLICY, DEFAULT_SHA256, &cache, source).map_err(first)?.component
    };
    let name = PolicyName { name: DEFAULT_NAME.to_owned(), sha256: DEFAULT_SHA256.to_owned(), instead_of: None };
    let pre = world::link(&component)?;
    Ok(Loaded { name, label: DEFAULT_NAME.to_owned(), pre, code_bytes: None, told: Some(None) })
}

fn finish(path: &Path, sha256: String, compiled: Compiled, told: Told) -> Result<Loaded, Flaws> {
    let name = PolicyName { name: text(path.file_stem()), sha256, instead_of: None };
    let pre = world::link(&compiled.component).map_err(one)?;
    Ok(Loaded { name, label: text(path.file_name()), pre, code_bytes: Some(compiled.bytes), told })
}

fn text(part_of_path: Option<&OsStr>) -> String {
    part_of_path.unwrap_or_default().to_string_lossy().into_owned()
}

/// The one engine of this process; it cannot compile.
fn running_engine() -> wasmtime::Result<&'static Engine> {
    static RUNNING: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = RUNNING.get() {
        return Ok(engine);
    }
    let mut config = compiler::config(TARGET)?;
    // Nothing that runs guests may compile, whatever it is handed: that is a child's to do, or a command's.
    config.enable_compiler(false);
    native::allow_in_place(&mut config);
    let engine = Engine::new(&config)?;
    Ok(RUNNING.get_or_init(|| engine))
}

/// The module file, bounded.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Flaw> {
    ModuleFile::open(path)?.read()
}

/// SHA-256 as 64 hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
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

/// Whether a module's compiled form is in the cache, where it can be believed. Makes nothing and reads none of it.
pub(super) fn is_cached(dir: &Path, sha256: &str) -> bool {
    dir.exists() && Cache::open(dir).and_then(|cache| cache.find(&entry_name(sha256))).is_ok()
}

/// Whether a module's compiled form is in the cache, or why it is not, or is not believed. Makes nothing.
pub(super) fn check_cached(dir: &Path, sha256: &str) -> Result<(), Miss> {
    // To open a cache is to make it.
    if !dir.exists() {
        return Err(Miss::Absent);
    }
    Cache::open(dir)?.get(&entry_name(sha256)).map(drop)
}

fn entry_name(sha256: &str) -> String {
    format!("{sha256}-{ENGINE}-{TARGET}.cwasm")
}

/// The cache, or why it cannot be used. That costs time, and the address only where the time is not enough.
fn open_cache(source: &Source<'_>) -> Result<Cache, String> {
    let Some(dir) = source.cache_dir else { return Err("none is wanted".to_owned()) };
    Cache::open(dir).map_err(|miss| {
        warn_of_unusable(dir, &miss);
        miss.to_string()
    })
}

struct Compiled {
    component: Component,
    bytes: u64,
    /// Of the entry in the cache it was loaded from.
    kept: Option<Stamp>,
}

/// From the cache, or else compiled once and kept.
fn compiled(wasm: &[u8], sha256: &str, cache: &Result<Cache, String>, source: &Source<'_>) -> Result<Compiled, Flaws> {
    let (cache, unusable) = match cache {
        Ok(cache) => (Some(cache), None),
        Err(why) => (None, Some(why)),
    };
    if let Some(cache) = cache
        && let Some(compiled) = cached(cache, sha256, None)?
    {
        return Ok(compiled);
    }
    if matches!(source.compiler, Compiler::Nobody) {
        return Err(one(Flaw::Uncompiled));
    }
    let began = Instant::now();
    let latest = began + Duration::from_secs(source.limits.compile_seconds);
    let until = source.deadline.map_or(latest, |deadline| latest.min(deadline));
    let name = entry_name(sha256);
    let lock = cache.map(|cache| cache.lock(until, &name));
    let _turn = match unusable.zip(source.deadline) {
        Some((why, _)) => Some(turn::wait_until(until).ok_or_else(|| one(Flaw::NoTurn(why.clone())))?),
        None => None,
    };
    // Whoever had the lock before us has most likely compiled this very module.
    if let Some(cache) = cache
        && let Some(compiled) = cached(cache, sha256, None)?
    {
        return Ok(compiled);
    }
    // A compiler that an earlier call had no time to wait for may have ended since.
    let finished = cache.zip(lock.as_ref()).and_then(|(cache, lock)| cache.take_draft(&name, lock));
    let artifact = match finished {
        Some(artifact) => artifact,
        None => compile(wasm, began, cache.zip(lock.as_ref()), &name, source)?,
    };
    if let Some((cache, dir)) = cache.zip(source.cache_dir) {
        cache.prune();
        if let Err(error) = cache.put(&name, &artifact) {
            warn_of_unusable(dir, &Miss::Io(name, error));
        }
    }
    let component = native::compiled(engine()?, &artifact)
        .map_err(|error| one(Flaw::Compiler(format!("the compiled code does not load: {error:#}"))))?;
    Ok(Compiled { component, bytes: artifact.len() as u64, kept: None })
}

/// The code, unless the time for it is over. Whoever waited for another to compile has so much less time left.
fn compile(
    wasm: &[u8],
    began: Instant,
    kept: Option<(&Cache, &Lock)>,
    name: &str,
    source: &Source<'_>,
) -> Result<Vec<u8>, Flaws> {
    if source.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        return Err(one(unfinished(began, kept, name)));
    }
    let whole = source.limits.compile_seconds;
    let compile_seconds = whole.saturating_sub(began.elapsed().as_secs());
    if compile_seconds == 0 {
        return Err(one(Flaw::CompileTime(whole)));
    }
    // Where there is a deadline, the compiler may end after us: a module that takes longer than a call has would never be
    // compiled otherwise.
    let draft = source.deadline.and(kept).and_then(|(cache, lock)| cache.draft(name, lock));
    let limits = Limits { compile_seconds, ..source.limits };
    let errand = Errand { deadline: source.deadline, draft };
    let artifact = source.compiler.compile(wasm, limits, &errand);
    let goes_on = matches!(&artifact, Err(flaws) if matches!(flaws[..], [Flaw::Unfinished { .. }]));
    if let Some((cache, _)) = kept
        && errand.draft.is_some()
        && !goes_on
    {
        cache.drop_draft(name);
    }
    artifact
}

/// The time of a call was over before this module was compiled: by the compiler of an earlier call, or because another module
/// is compiled at the moment.
fn unfinished(began: Instant, kept: Option<(&Cache, &Lock)>, name: &str) -> Flaw {
    let waited = began.elapsed().as_secs();
    let Some((cache, lock)) = kept else { return Flaw::Unfinished { by: Compiling::Own, seconds: waited } };
    match cache.at_work() {
        _ if lock.is_held() => Flaw::Unfinished { by: Compiling::Own, seconds: waited },
        Some(at_work) if at_work.name == name => {
            Flaw::Unfinished { by: Compiling::Own, seconds: at_work.elapsed.as_secs() }
        }
        Some(at_work) => Flaw::Unfinished { by: Compiling::Another, seconds: at_work.elapsed.as_secs() },
        None => Flaw::Unfinished { by: Compiling::Another, seconds: waited },
    }
}

fn engine() -> Result<&'static Engine, Flaws> {
    running_engine().map_err(|error| one(Flaw::Compiler(format!("{error:#}"))))
}

/// The code of a module in the cache. An entry whose checksum was right before is mapped, so that pages which are not
/// needed are not even read.
fn cached(cache: &Cache, sha256: &str, checked: Option<&Stamp>) -> Result<Option<Compiled>, Flaws> {
    let (name, engine) = (entry_name(sha256), engine()?);
    let entry = match cache.find(&name) {
        Ok(entry) => entry,
        // Every module is new to a cache once: not worth a warning.
        Err(miss @ Miss::Absent) => {
            tracing::debug!(name, "cached policy not used: {miss}");
            return Ok(None);
        }
        Err(miss) => {
            warn_of_unused(&name, &miss);
            return Ok(None);
        }
    };
    let (bytes, kept) = (entry.bytes(), Some(entry.stamp));
    if checked == Some(&entry.stamp)
        && let Ok(component) = native::mapped(engine, &entry.file)
    {
        return Ok(Some(Compiled { component, bytes, kept }));
    }
    let artifact = match entry.read() {
        Ok(artifact) => artifact,
        Err(miss) => {
            warn_of_unused(&name, &miss);
            return Ok(None);
        }
    };
    match native::compiled(engine, &artifact) {
        Ok(component) => Ok(Some(Compiled { component, bytes, kept })),
        Err(error) => {
            warn_of_unused(&name, &format_args!("{error:#}"));
            Ok(None)
        }
    }
}

fn warn_of_unused(name: &str, why: &dyn std::fmt::Display) {
    tracing::warn!(name, "cached policy not used: {why}");
}

fn warn_of_unusable(cache_dir: &Path, miss: &Miss) {
    tracing::warn!(cache = %cache_dir.display(), "policy cache unusable, recompiling at every call: {miss}");
}
