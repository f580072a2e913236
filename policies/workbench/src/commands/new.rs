//! `kube-ipam policy new`: a directory with a project that builds, passes its tests, and has all it needs in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Args, ValueEnum};

use cni::Fail;
use kube_ipam::cli::output::{Done, Output};

mod carried {
    include!(concat!(env!("OUT_DIR"), "/carried.rs"));
}

/// What the templates call the policy.
const PLACEHOLDER: &str = "new-policy";
/// The same as a Rust type.
const TYPE_PLACEHOLDER: &str = "NewPolicy";
/// Names of crates that a policy in Rust depends on, so that its own cannot be one of them.
const TAKEN: [&str; 3] = ["kube-ipam-policy", "serde", "wit-bindgen"];
const LONGEST_NAME: usize = 64;

const WORLD: (&str, &str) = ("wit/policy.wit", include_str!("../../../../wit/policy.wit"));

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The policy's name, which is that of the directory to make; a path may stand before it
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// What to write it in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// With the SDK, which the project carries
    Rust,
    /// JavaScript, in QuickJS
    Js,
    /// Python, in CPython
    Python,
    /// C, by the generated bindings
    C,
}

/// Why no project was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewError {
    /// Not a name for a directory, a crate and a module at once.
    #[error("{0:?} is no name for a policy")]
    Name(String),
    /// Somebody's work is there.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The directory cannot be written.
    #[error("cannot write {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

impl Fail for NewError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Name(_) => format!(
                "lower-case letters, digits and hyphens, a letter first, no more than {LONGEST_NAME}; not {}",
                TAKEN.join(", ")
            ),
            Self::NotEmpty(_) => "choose another name, or an empty directory".to_owned(),
            Self::Io(..) => "choose a directory you may write to".to_owned(),
        };
        Some(text)
    }
}

pub(crate) fn new(options: &Options) -> Done {
    let name = checked_name(&options.path)?;
    check_empty(&options.path)?;
    for (file, text) in project(options.lang) {
        write(&options.path.join(file), &named(text, name))?;
    }
    let (path, module) = (options.path.display(), options.path.join(name).with_extension("wasm"));
    Ok(Output::text(format!(
        "{path}: a policy that builds; README.md in it says what to do\n  kube-ipam policy build {path}\n  \
         kube-ipam policy inspect {}",
        module.display()
    )))
}

/// Every file of a project in a language, with its place.
fn project(lang: Lang) -> Vec<(String, &'static str)> {
    let of_the_language = match lang {
        Lang::Rust => carried::RUST,
        Lang::Js => carried::JAVASCRIPT,
        Lang::Python => carried::PYTHON,
        Lang::C => carried::C,
    };
    let own = carried::COMMON.iter().chain(of_the_language).chain([&WORLD]);
    let mut files: Vec<_> = own.map(|(file, text)| ((*file).to_owned(), *text)).collect();
    if lang == Lang::Rust {
        let (manifest, text) = carried::SDK_MANIFEST;
        files.push((format!("kube-ipam-policy/{manifest}"), text));
        files.extend(carried::SDK.iter().map(|(file, text)| (format!("kube-ipam-policy/src/{file}"), *text)));
    }
    files
}

fn checked_name(path: &Path) -> Result<&str, NewError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let well_formed = |name: &&str| {
        name.len() <= LONGEST_NAME
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !TAKEN.contains(name)
    };
    name.filter(well_formed).ok_or_else(|| NewError::Name(path.display().to_string()))
}

fn check_empty(path: &Path) -> Result<(), NewError> {
    match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(NewError::NotEmpty(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(NewError::Io(path.to_owned(), error)),
    }
}

/// The template's text under the policy's name.
fn named(text: &str, name: &str) -> String {
    let capitalised = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    let type_name: String = name.split('-').filter(|word| !word.is_empty()).map(capitalised).collect();
    text.replace(PLACEHOLDER, name).replace(TYPE_PLACEHOLDER, &type_name)
}

fn write(path: &Path, text: &str) -> Result<(), NewError> {
    let io = |error| NewError::Io(path.to_owned(), error);
    path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text)).map_err(io)
}
