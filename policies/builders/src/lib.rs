//! From an author's project to a component: `kube-ipam policy build` does it for authors, and the build script for the
//! default policy. Every language ends the same way: in a component of the policy world without any system interface.
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

/// The languages that a policy may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Rust,
    JavaScript,
    Python,
    C,
}

/// Why a project did not become a component.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    #[error("{} is not a policy project: it has no {}", .0, markers(" and no "))]
    NoLanguage(String),
    #[error("{directory} has policies in several languages: keep one of {found}")]
    SeveralLanguages { directory: String, found: String },
    #[error("{tool} is not installed, but needed to build {directory}")]
    NoTool {
        tool: String,
        directory: String,
        /// The command that installs the tool.
        hint: String,
    },
    /// A tool is installed but cannot be started.
    #[error("cannot run {tool}")]
    Tool {
        tool: String,
        #[source]
        source: io::Error,
    },
    /// A tool failed, and said why.
    #[error("{tool} could not build {directory}:\n{said}")]
    Build {
        tool: String,
        directory: String,
        /// What the tool wrote to standard error and output.
        said: String,
    },
    /// The standard library for the guest's target is not installed.
    #[error("the Rust target {} is not installed", rust::TARGET)]
    NoTarget,
    /// Cargo succeeded, but made no module.
    #[error("cargo built {} but left no {} module: Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`", .0, rust::TARGET)]
    NoModule(String),
    /// The module was built against another world.
    #[error("the module does not fit the policy world: {0}")]
    Encode(String),
    /// `wit/` of the project cannot be used.
    #[error("{path} is not the policy world: {why}")]
    World { path: String, why: String },
    /// A file cannot be read or written.
    #[error("{path}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
}

impl GuestError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoTool { hint, .. } => Some(hint.clone()),
            Self::NoTarget => Some(format!("rustup target add {}", rust::TARGET)),
            Self::NoLanguage(_) => {
                Some("create a project with kube-ipam policy new NAME --lang rust|js|python|c".to_owned())
            }
            Self::World { .. } => {
                Some("correct wit/, or remove it to build against the world of this version".to_owned())
            }
            _ => None,
        }
    }

    fn file(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.display().to_string();
        move |source| Self::File { path: path.clone(), source }
    }
}

impl Language {
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

    /// The language of a project, by the one marker that it has.
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

/// Build the project, whatever its language. `news` is told before something that takes long, such as a download.
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
