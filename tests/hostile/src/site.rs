//! A place to load guests at, as a node does.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Compiler, Policy, PolicyError, Source};
use kube_ipam_tests::program;
use limits::Limits;

/// What a busy machine may add to a run: the bound tells "stopped" from "hangs".
pub const SLACK: Duration = Duration::from_secs(30);

/// A folder with a module file and a cache in it.
#[derive(Debug)]
pub struct Site {
    folder: tempfile::TempDir,
    /// What a policy may use.
    pub limits: Limits,
    /// Who compiles.
    pub compiler: Compiler,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// Compiles in a child process of the built program, as in production.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), limits: Limits::default(), compiler: Compiler::Program(program()) }
    }

    /// Where compiled modules are.
    pub fn cache_dir(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Write a module file.
    pub fn install(&self, name: &str, module: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name).with_extension("wasm");
        fs::write(&path, module).unwrap();
        path
    }

    /// Load a module file.
    pub fn load(&self, path: &Path, sha256: Option<&str>) -> Result<Policy, PolicyError> {
        let cache_dir = self.cache_dir();
        Policy::load(&Source { sha256, cache_dir: Some(&cache_dir), ..self.source(path) })
    }

    /// A module file that is only looked at.
    pub fn source<'a>(&self, path: &'a Path) -> Source<'a> {
        let (limits, compiler) = (self.limits, self.compiler.clone());
        Source { module: Some(path), sha256: None, cache_dir: None, limits, compiler, deadline: None }
    }

    /// Write and load.
    pub fn policy(&self, name: &str, module: &[u8]) -> Result<Policy, PolicyError> {
        self.load(&self.install(name, module), None)
    }

    /// The only compiled module in the cache.
    pub fn cached(&self) -> PathBuf {
        let entries = fs::read_dir(self.cache_dir()).unwrap().map(|entry| entry.unwrap().path());
        let modules: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "cwasm")).collect();
        assert_eq!(modules.len(), 1, "{modules:?}");
        modules.into_iter().next().unwrap()
    }
}
