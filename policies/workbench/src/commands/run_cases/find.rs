//! Finds the files that are cases, and the module that each is about.

use cni::Fail;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::trial::{BUILT_IN, module_file};
use crate::lab::case::{Case, CaseFile};

/// A file that is a case, or should be.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) file: PathBuf,
    /// Where its module is looked for, if neither the command line nor the case names one.
    directory: PathBuf,
}

/// Where a policy comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PolicyModule {
    Builtin,
    File(PathBuf),
}

/// Why there is nothing to test, or nothing to test it with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfound {
    #[error("{}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{path} is a module: pass it as --module {path}, together with cases: a file, or a directory with tests/", path = .0.display())]
    IsModule(PathBuf),
    #[error("no cases in {}: expected .yaml, .yml or .json files with steps", .0.display())]
    NoCase(PathBuf),
    #[error(
        "no module for {}: there is no .wasm file in {}; build one with `kube-ipam policy build {}`, or pass --module FILE.wasm (or builtin)",
        .file.display(), .directory.display(), .directory.display()
    )]
    NoModule { file: PathBuf, directory: PathBuf },
    #[error("several modules for {}: {} has {}; choose one with --module FILE.wasm", .file.display(), .directory.display(), .choices)]
    ManyModules { file: PathBuf, directory: PathBuf, choices: String },
}

impl Fail for Unfound {}

impl PolicyModule {
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Builtin => None,
            Self::File(path) => Some(path),
        }
    }

    fn named(path: PathBuf) -> Self {
        module_file(path).map_or(Self::Builtin, Self::File)
    }
}

impl fmt::Display for PolicyModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str(BUILT_IN),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Take files as they are given, and search directories for cases.
pub(super) fn targets(paths: &[PathBuf]) -> Result<Vec<Target>, Unfound> {
    let mut targets = Vec::new();
    for path in paths {
        if path.is_dir() {
            targets.extend(in_directory(path)?);
        } else if path.extension().is_some_and(|end| end == "wasm") {
            return Err(Unfound::IsModule(path.clone()));
        } else {
            targets.push(Target { file: path.clone(), directory: policy_of(path) });
        }
    }
    Ok(targets)
}

/// The module that a case is about: the one of the command line, of the case, or the only one in the directory.
pub(super) fn module(target: &Target, case: &Case, given: Option<&Path>) -> Result<PolicyModule, Unfound> {
    if let Some(path) = given {
        return Ok(PolicyModule::named(path.to_owned()));
    }
    if let Some(path) = &case.module {
        if path.as_os_str() == BUILT_IN {
            return Ok(PolicyModule::Builtin);
        }
        let directory = target.file.parent().unwrap_or(Path::new(""));
        return Ok(PolicyModule::named(directory.join(path)));
    }
    let (file, directory) = (target.file.clone(), target.directory.clone());
    let mut modules = files(&directory, &["wasm"])?;
    match modules.len() {
        0 => Err(Unfound::NoModule { file, directory }),
        1 => Ok(PolicyModule::File(modules.remove(0))),
        _ => {
            let mut names = Vec::new();
            for path in &modules {
                names.push(path.file_name().unwrap_or_default().to_string_lossy());
            }
            Err(Unfound::ManyModules { file, directory, choices: names.join(" and ") })
        }
    }
}

fn in_directory(directory: &Path) -> Result<Vec<Target>, Unfound> {
    let tests = directory.join("tests");
    let searched = if tests.is_dir() { &tests } else { directory };
    let mut found = files(searched, &["yaml", "yml", "json"])?;
    found.retain(|file| fs::read_to_string(file).is_ok_and(|text| CaseFile::is_likely(&text)));
    if found.is_empty() {
        return Err(Unfound::NoCase(searched.to_owned()));
    }
    Ok(found.into_iter().map(|file| Target { file, directory: directory.to_owned() }).collect())
}

/// The directory of the policy that a case is about: the case's own, or the one above `tests`.
fn policy_of(file: &Path) -> PathBuf {
    let directory = above(file);
    if directory.ends_with("tests") { above(directory).to_owned() } else { directory.to_owned() }
}

/// The directory that a path is in. `Path` gives an empty one for a plain name, which no function can read.
fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The files of these kinds in a directory, in the order of their names.
fn files(directory: &Path, kinds: &[&str]) -> Result<Vec<PathBuf>, Unfound> {
    let entries = fs::read_dir(directory).map_err(|error| Unfound::Unreadable { path: directory.to_owned(), error })?;
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_file() && path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
