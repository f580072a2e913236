//! Which files are cases, and which module they are about.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::trial::{BUILT_IN, module_file};
use crate::lab::case::{Case, CaseFile};
use cni::Fail;

/// A file that is or should be a case.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) file: PathBuf,
    /// Where its policy is, unless somebody says.
    directory: PathBuf,
}

/// Where a policy comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Module {
    Builtin,
    File(PathBuf),
}

/// Why there is nothing to test, or nothing to test it with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfound {
    #[error("{}: {error}", .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{path} is a module: say --module {path}, and which cases: a file, or a directory with tests/", path = .0.display())]
    IsModule(PathBuf),
    #[error("no case in {}: expected .yaml, .yml or .json files with steps", .0.display())]
    NoCase(PathBuf),
    #[error(
        "no module for {}: there is no .wasm file in {}; build one with `kube-ipam policy build {}`, or say --module FILE.wasm (or builtin)",
        .file.display(), .directory.display(), .directory.display()
    )]
    NoModule { file: PathBuf, directory: PathBuf },
    #[error("which module is {} about? {} has {}: say --module FILE.wasm", .file.display(), .directory.display(), .choices)]
    ManyModules { file: PathBuf, directory: PathBuf, choices: String },
}

impl Fail for Unfound {}

impl Module {
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

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str(BUILT_IN),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Files as given, directories searched.
pub(super) fn targets(paths: &[PathBuf]) -> Result<Vec<Target>, Unfound> {
    let mut targets = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => targets.extend(in_directory(path)?),
            false if path.extension().is_some_and(|end| end == "wasm") => return Err(Unfound::IsModule(path.clone())),
            false => targets.push(Target { file: path.clone(), directory: policy_of(path) }),
        }
    }
    Ok(targets)
}

/// The module of a case.
pub(super) fn module(target: &Target, case: &Case, said: Option<&Path>) -> Result<Module, Unfound> {
    if let Some(path) = said {
        return Ok(Module::named(path.to_owned()));
    }
    let beside = |path: &PathBuf| match path.as_os_str() == BUILT_IN {
        true => path.clone(),
        false => target.file.parent().unwrap_or(Path::new("")).join(path),
    };
    if let Some(path) = &case.module {
        return Ok(Module::named(beside(path)));
    }
    let (file, directory) = (target.file.clone(), target.directory.clone());
    let mut modules = files(&directory, &["wasm"])?;
    match modules.len() {
        0 => Err(Unfound::NoModule { file, directory }),
        1 => Ok(Module::File(modules.remove(0))),
        _ => {
            let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let choices = modules.iter().map(name).collect::<Vec<_>>().join(" and ");
            Err(Unfound::ManyModules { file, directory, choices })
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

/// Where a policy has its cases in `tests`, it is the directory above.
fn policy_of(file: &Path) -> PathBuf {
    let above =
        |path: &Path| path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new(".")).to_owned();
    let directory = above(file);
    if directory.ends_with("tests") { above(&directory) } else { directory }
}

/// By kind, in order of their names.
fn files(directory: &Path, kinds: &[&str]) -> Result<Vec<PathBuf>, Unfound> {
    let unreadable = |error| Unfound::Unreadable { path: directory.to_owned(), error };
    let entries = fs::read_dir(directory).map_err(unreadable)?.flatten().map(|entry| entry.path());
    let is_kind = |path: &PathBuf| path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known));
    let mut files: Vec<_> = entries.filter(|path| path.is_file() && is_kind(path)).collect();
    files.sort();
    Ok(files)
}
