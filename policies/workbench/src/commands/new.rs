//! `kube-ipam policy new` creates a directory with a project that builds, passes its tests, and has all it needs in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Args, ValueEnum};

use cni::Fail;
use kube_ipam::cli::output::{Done, Output};

mod carried {
    include!(concat!(env!("OUT_DIR"), "/carried.rs"));
}

/// The policy's name in the templates.
const PLACEHOLDER: &str = "new-policy";
/// The name of the policy's Rust type in the templates.
const TYPE_PLACEHOLDER: &str = "NewPolicy";
/// Names of crates that a policy in Rust depends on, which its own crate cannot have.
const TAKEN: [&str; 4] = ["kube-ipam-policy", "addresses", "serde", "wit-bindgen"];
const LONGEST_NAME: usize = 64;

const WORLD: (&str, &str) = ("wit/policy.wit", include_str!("../../../../wit/policy.wit"));

#[derive(Args, Debug)]
pub(crate) struct NewOptions {
    /// Name of the policy and of the directory to create; may have a path before it
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// Language to write it in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    /// Rust with the SDK, which is part of the project
    Rust,
    /// JavaScript, run by QuickJS
    Js,
    /// Python, run by CPython
    Python,
    /// C with generated bindings
    C,
}

/// Why no project was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NewError {
    /// It cannot be the name of a directory, a crate and a module at once.
    #[error("{0:?} is not a valid name for a policy")]
    Name(String),
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot write {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

impl Fail for NewError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Name(_) => format!(
                "use lower-case letters, digits and hyphens, a letter first, at most {LONGEST_NAME} in all; {} are taken",
                TAKEN.join(", ")
            ),
            Self::NotEmpty(_) => "choose another name or an empty directory".to_owned(),
            Self::Io(..) => "choose a directory that you may write to".to_owned(),
        };
        Some(text)
    }
}

pub(crate) fn new(options: &NewOptions) -> Done {
    let name = checked_name(&options.path)?;
    check_empty(&options.path)?;
    for (file, text) in project(options.lang) {
        write(&options.path.join(file), &named(text, name))?;
    }
    let (path, module) = (options.path.display(), options.path.join(name).with_extension("wasm"));
    Ok(Output::text(format!(
        "created the policy project {path}; its README.md says how to go on\n  kube-ipam policy build {path}\n  \
         kube-ipam policy inspect {}",
        module.display()
    )))
}

/// Every file of a project in a language: its path in the project, and its text.
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
        // The SDK's manifest names `host/addresses` by its path in the repository: below the SDK it has the same one.
        for (directory, (manifest, text), sources) in [
            ("kube-ipam-policy", carried::SDK_MANIFEST, carried::SDK),
            ("kube-ipam-policy/host/addresses", carried::ADDRESSES_MANIFEST, carried::ADDRESSES),
        ] {
            files.push((format!("{directory}/{manifest}"), text));
            files.extend(sources.iter().map(|(file, text)| (format!("{directory}/src/{file}"), *text)));
        }
    }
    files
}

fn checked_name(path: &Path) -> Result<&str, NewError> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if is_name(name) => Ok(name),
        _ => Err(NewError::Name(path.display().to_string())),
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !TAKEN.contains(&name)
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
    let mut type_name = String::new();
    for word in name.split('-').filter(|word| !word.is_empty()) {
        // A name is ASCII, so that its first byte is its first character.
        type_name.push_str(&word[..1].to_ascii_uppercase());
        type_name.push_str(&word[1..]);
    }
    text.replace(PLACEHOLDER, name).replace(TYPE_PLACEHOLDER, &type_name)
}

fn write(path: &Path, text: &str) -> Result<(), NewError> {
    let directory = path.parent().map_or(Ok(()), fs::create_dir_all);
    directory.and_then(|()| fs::write(path, text)).map_err(|error| NewError::Io(path.to_owned(), error))
}
