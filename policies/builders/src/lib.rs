//! From an author's project to a component: what `kube-ipam policy build` does for authors, and the build script for the
//! default policy. Every language ends the same way: a component of the policy world without any system interface.
//!
//! ```text
//!  Cargo.toml    ── cargo ─────────────── core module ──┐
//!  policy.c      ── zig or clang ── core module + types ─┴─ encode ──┬── component
//!  package.json  ── npm, componentize-qjs ───────────────────────────┤
//!  policy.py     ── pip, componentize-py ────────────────────────────┘
//! ```

mod c;
mod javascript;
mod python;
pub mod rust;
mod tool;
mod wit;

use std::io;
use std::path::Path;

/// The languages a policy may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// With the SDK.
    Rust,
    /// In QuickJS.
    JavaScript,
    /// In CPython.
    Python,
    /// With the generated bindings.
    C,
}

/// Why a project did not become a component.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// No language's file is there.
    #[error("{} holds no policy: there is no {}", .0, markers(" and no "))]
    NoLanguage(String),
    /// The files of several are there.
    #[error("{directory} holds policies in several languages: keep one of {found}")]
    SeveralLanguages {
        /// The project.
        directory: String,
        /// What was found.
        found: String,
    },
    /// A tool is not installed.
    #[error("{tool} is not installed, and {directory} is built with it")]
    NoTool {
        /// The program.
        tool: String,
        /// The project.
        directory: String,
        /// Which command installs it.
        way_out: String,
    },
    /// A tool is there but could not be started.
    #[error("cannot run {tool}")]
    Tool {
        /// The program.
        tool: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A tool failed, and said why.
    #[error("{tool} could not build {directory}:\n{said}")]
    Build {
        /// The program.
        tool: String,
        /// The project.
        directory: String,
        /// What it wrote to standard error and output.
        said: String,
    },
    /// The standard library for the guest's target is not installed.
    #[error("the Rust target {} is not installed", rust::TARGET)]
    NoTarget,
    /// Cargo was content, but there is no module.
    #[error("cargo built {} but left no {} module: Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`", .0, rust::TARGET)]
    NoModule(String),
    /// The module is not one of the policy world.
    #[error("the module does not fit the policy world: {0}")]
    Encode(String),
    /// `wit/` holds no policy world.
    #[error("{path} is not the policy world: {why}")]
    World {
        /// The file or directory.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file could not be read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl GuestError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTool { way_out, .. } => Some(way_out.clone()),
            Self::NoTarget => Some(format!("rustup target add {}", rust::TARGET)),
            Self::NoLanguage(_) => Some("kube-ipam policy new NAME --lang rust|js|python|c begins one".to_owned()),
            Self::World { .. } => Some("without wit/ the project is built against this version's world".to_owned()),
            _ => None,
        }
    }

    fn file(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.display().to_string();
        move |source| Self::File { path: path.clone(), source }
    }
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::JavaScript, Self::Python, Self::C];

    /// The file that says which language a project is in.
    pub const fn marker(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::JavaScript => "package.json",
            Self::Python => "policy.py",
            Self::C => "policy.c",
        }
    }

    /// The language of a project.
    pub fn of(directory: &Path) -> Result<Self, GuestError> {
        let found: Vec<Self> =
            Self::ALL.into_iter().filter(|language| directory.join(language.marker()).is_file()).collect();
        match found[..] {
            [language] => Ok(language),
            [] => Err(GuestError::NoLanguage(directory.display().to_string())),
            _ => Err(GuestError::SeveralLanguages {
                directory: directory.display().to_string(),
                found: found.iter().map(|language| language.marker()).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// Build the project, whatever its language. `news` hears what takes long.
pub fn build(directory: &Path, news: &dyn Fn(&str)) -> Result<Vec<u8>, GuestError> {
    match Language::of(directory)? {
        Language::Rust => rust::build(directory, &directory.join("target")),
        Language::JavaScript => javascript::build(directory, news),
        Language::Python => python::build(directory, news),
        Language::C => c::build(directory, news),
    }
}

/// Wrap a core module, which carries its component type in a custom section, into a component.
pub fn encode(core: &[u8]) -> Result<Vec<u8>, GuestError> {
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder
        .validate(true)
        .module(core)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| GuestError::Encode(format!("{error:#}")))
}

fn markers(between: &str) -> String {
    Language::ALL.map(|language| format!("{} ({language:?})", language.marker())).join(between)
}
