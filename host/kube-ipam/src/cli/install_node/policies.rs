//! Policy modules: each is examined and compiled first and put in its place last, so that no ADD waits for a compiler and no
//! module that would be refused takes the place of one that works.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::error::InstallError;
use super::obstacle::Obstacle;
use super::ours::{Ours, Part, Wanted};
use super::place::Directory;
use super::tell;
use super::volume::{ends_in, files_in};
use crate::cli::output;
use crate::cli::policy::trust::{Signature, Trust, TrustError, signatures_of};
use cni::Fail;
use engine::install::{self, Ready};
use engine::{Compiler, PolicyError, Source};
use limits::{Limits, REFUSED_AGAIN};

/// Modules that were refused, by their digests: they are not compiled again at every look.
#[derive(Debug, Default)]
pub(super) struct RefusedModules(Mutex<BTreeMap<String, (Instant, Obstacle)>>);

impl RefusedModules {
    fn find(&self, sha256: &str) -> Option<Obstacle> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, obstacle) = refused.get(sha256)?;
        if since.elapsed() < REFUSED_AGAIN { Some(obstacle.clone()) } else { None }
    }

    fn remember(&self, sha256: String, obstacle: &Obstacle) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(sha256, (Instant::now(), obstacle.clone()));
    }
}

/// Where modules are installed, and what is known of them.
pub(super) struct Modules<'a> {
    pub(super) from: &'a Path,
    pub(super) to: &'a Path,
    /// Who must have signed every module, if anybody.
    pub(super) trust: Option<&'a Trust>,
    /// Where the plugin looks for compiled modules.
    pub(super) cache_dir: &'a Path,
    pub(super) ours: &'a Ours,
    pub(super) refused: &'a RefusedModules,
}

impl Modules<'_> {
    /// Installs what is new. `busy` is told what is in the way while a module is compiled.
    pub(super) fn install(&self, busy: &dyn Fn(Obstacle)) -> Result<Vec<Obstacle>, InstallError> {
        let is_module = |file: &Path| {
            let unpacked = if ends_in(file, &["gz"]) { file.with_extension("") } else { file.to_owned() };
            ends_in(&unpacked, &["wasm"])
        };
        let files = files_in(self.from, "name a directory with --policies", is_module)?;
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let directory = Directory::open(self.to, "--policy-dir")?;
        let mut obstacles = Vec::new();
        for file in files {
            obstacles.extend(self.install_one(&file, &directory, busy)?);
        }
        Ok(obstacles)
    }

    fn install_one(
        &self,
        file: &Path,
        directory: &Directory,
        busy: &dyn Fn(Obstacle),
    ) -> Result<Option<Obstacle>, InstallError> {
        let wasm = match install::read(file) {
            Ok(wasm) => wasm,
            Err(error) => return Ok(Some(Obstacle::error(file, &error.into()))),
        };
        // Whose module it is comes before everything else that is done with it: a compiler is a large target.
        let signatures = match self.judged_signatures(file, &wasm) {
            Ok(signatures) => signatures,
            Err(error) => return Ok(Some(Obstacle::new(file, error.message(), error.hint().unwrap_or_default()))),
        };
        let name = install::name_of(file).unwrap_or_default();
        let (sha256, is_compiled) = install::look_up(&wasm, self.cache_dir);
        let mut content = Cursor::new(&wasm);
        if is_compiled && directory.has(name, 0o644, &mut content) {
            return self.install_signatures(&signatures, directory);
        }
        if let Some(obstacle) = self.refused.find(&sha256) {
            return Ok(Some(obstacle));
        }
        let ready = match self.prepare(file, wasm, is_compiled, busy) {
            Ok(ready) => ready,
            Err(error) => {
                let obstacle = Obstacle::error(file, &error.into());
                self.refused.remember(sha256, &obstacle);
                return Ok(Some(obstacle));
            }
        };
        if let Some(obstacle) = self.install_signatures(&signatures, directory)? {
            return Ok(Some(obstacle));
        }
        let wanted = Wanted { part: Part::Policy, directory, name, mode: 0o644, networks: BTreeSet::new() };
        if let Some(obstacle) = tell(self.ours.put(&wanted, &mut Cursor::new(&ready.wasm))?, directory, name) {
            return Ok(Some(obstacle));
        }
        let Err(why) = ready.kept else { return Ok(None) };
        // Installed all the same: slow policies are better than none, but somebody has to know.
        let why = format!("every ADD compiles it again, because {} cannot be used: {why}", self.cache_dir.display());
        let obstacle = Obstacle::new(file, why, "make root the owner of that directory (mode 0700) and of its parents");
        self.refused.remember(sha256, &obstacle);
        Ok(Some(obstacle))
    }

    /// The signatures beside a module, if somebody has to have signed it and has.
    fn judged_signatures(&self, file: &Path, wasm: &[u8]) -> Result<Vec<Signature>, TrustError> {
        let Some(trust) = self.trust else { return Ok(Vec::new()) };
        let signatures = signatures_of(file)?;
        trust.judge(file, wasm, &signatures)?;
        Ok(signatures)
    }

    /// Puts signatures beside the place of their module, for `doctor`: right before the module, so that it is never there
    /// without them, and a module that is refused leaves those of the former one alone.
    fn install_signatures(
        &self,
        signatures: &[Signature],
        directory: &Directory,
    ) -> Result<Option<Obstacle>, InstallError> {
        for signature in signatures {
            let name = signature.file.file_name().unwrap_or_default();
            let wanted = Wanted { part: Part::Policy, directory, name, mode: 0o644, networks: BTreeSet::new() };
            let put = self.ours.put(&wanted, &mut Cursor::new(&signature.content))?;
            if let Some(obstacle) = tell(put, directory, name) {
                return Ok(Some(obstacle));
            }
        }
        Ok(None)
    }

    /// Examines a module, and compiles it unless that was done.
    fn prepare(
        &self,
        file: &Path,
        wasm: Vec<u8>,
        is_compiled: bool,
        busy: &dyn Fn(Obstacle),
    ) -> Result<Ready, PolicyError> {
        if !is_compiled {
            busy(Obstacle { file: file.to_owned(), why: "is being compiled".to_owned(), hint: None });
        }
        let source = Source {
            module: Some(file),
            sha256: None,
            cache_dir: Some(self.cache_dir),
            limits: Limits::default(),
            compiler: Compiler::Child,
            deadline: None,
        };
        let began = Instant::now();
        let ready = install::prepare_bytes(file, wasm, &source, None)?;
        if !is_compiled {
            output::line(&format!("compiled {} in {:.1} s", file.display(), began.elapsed().as_secs_f64()));
        }
        Ok(ready)
    }
}
