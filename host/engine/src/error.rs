//! What can be wrong with a policy: a flaw, for which the module is refused before it runs, or a fault of a run.

use std::fmt;

use serde::{Deserialize, Serialize};

use ipam::proposal::ProposalError;
use limits::{Limit, Thousands};

/// A policy could not be loaded, did not accept its settings, or misbehaved. Always names the module.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The module is refused; it did not run.
    #[error("policy {module} {flaw}")]
    Flawed {
        /// The file, or the name of the built-in policy.
        module: String,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The module does not understand `policy.settings`.
    #[error("policy {module} does not accept its settings: {reason}")]
    Settings {
        /// The name of the module's file.
        module: String,
        /// The module's own words.
        reason: String,
        /// Which setting may have been meant, by the module's schema.
        nearest: Option<String>,
    },
    /// The module ran and misbehaved. Nothing was claimed.
    #[error("policy {module}: {function} {fault}")]
    Faulted {
        /// The name of the module's file.
        module: String,
        /// The function that was called, or the start of the module before it.
        function: Function,
        /// What the module did.
        fault: Fault,
    },
    /// The policy kept asking about parts of the ranges that were not read yet.
    #[error("policy {policy}: allocate asked for more than {limit} reads of the store")]
    Inquisitive {
        /// The policy, as it is recorded with addresses.
        policy: String,
        /// How many reads a decision may cause.
        limit: u32,
    },
}

/// The two kinds of policy errors a CNI error code tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The configuration names a module, a digest or settings that cannot be used: CNI error code 7.
    Configuration,
    /// The policy faulted: error code 105.
    Fault,
}

impl PolicyError {
    /// Which kind of error this is.
    pub fn class(&self) -> Class {
        match self {
            Self::Flawed { .. } | Self::Settings { .. } => Class::Configuration,
            Self::Faulted { .. } | Self::Inquisitive { .. } => Class::Fault,
        }
    }

    /// Whether another policy may decide instead, where the configuration allows it. Never where a limit ended the run, or
    /// the decision: a long annotation is enough to reach some, and a pod's author must not choose who decides.
    pub fn may_be_replaced(&self) -> bool {
        match self {
            Self::Flawed { flaw, .. } => !matches!(flaw, Flaw::Uncompiled | Flaw::Unfinished { .. } | Flaw::NoTurn(_)),
            Self::Settings { .. } => true,
            Self::Faulted { fault, .. } => !fault.is_of_a_limit(),
            Self::Inquisitive { .. } => false,
        }
    }

    /// The sentence that says what to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Flawed { module, flaw } => flaw.hint(module),
            Self::Settings { module, nearest, .. } => {
                let nearest = nearest.as_ref().map(|nearest| format!("did you mean {nearest}? ")).unwrap_or_default();
                Some(format!("{nearest}the settings' schema: kube-ipam policy inspect {module}"))
            }
            Self::Faulted { fault: Fault::Limit { limit, .. }, .. } if limit.least < limit.most => {
                Some(format!("policy.limits.{} may be raised up to {}", limit.key, Thousands(limit.most)))
            }
            Self::Faulted { fault: Fault::Limit { .. }, .. } => {
                Some("this limit cannot be raised: the policy has to use less".to_owned())
            }
            Self::Faulted { fault: Fault::Starved(_), .. } => Some(
                "the module declares how far its memory may grow; build it with a higher maximum, or shorten what \
                 the pod asks for"
                    .to_owned(),
            ),
            Self::Faulted { fault: Fault::NoMemory(_), .. } => {
                Some("raise ulimit -v of the container runtime, or give the node more memory".to_owned())
            }
            Self::Faulted { fault: Fault::Engine(_), .. } => {
                Some("please report this, with the module and the log".to_owned())
            }
            Self::Faulted { .. } if self.may_be_replaced() => Some(
                "this is a bug in the module, and policy.record keeps the decision for its author; until it is \
                 fixed, policy.onFault: \"default\" lets the built-in policy decide; `kube-ipam doctor --network NETWORK` \
                 tries the module and counts its faults"
                    .to_owned(),
            ),
            Self::Faulted { .. } => {
                Some(
                    "this is a bug in the module, and policy.record keeps the decision for its author; `kube-ipam doctor \
                     --network NETWORK` tries the module and counts its faults"
                        .to_owned(),
                )
            }
            Self::Inquisitive { .. } => Some(
                "each question about a part of the ranges that was not read yet costs a read: the policy should ask \
                 about spans, or about fewer addresses"
                    .to_owned(),
            ),
        }
    }
}

/// Part of a policy that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Before any function: memories, tables, the start function.
    Start,
    /// The export `describe`, which tells what the module is.
    Describe,
    /// The export `validate-settings`, of which no pod is told.
    ValidateSettings,
    /// The export `allocate`, the decision itself.
    Allocate,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "its start",
            Self::Describe => "describe",
            Self::ValidateSettings => "validate-settings",
            Self::Allocate => "allocate",
        })
    }
}

/// Why a module is refused before it runs. Travels as JSON from the compiling child to its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// There is no file of this name.
    #[error("does not exist")]
    Missing,
    /// The file cannot be read, or is none.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// A file of no bytes.
    #[error("is empty")]
    Empty,
    /// A file above the limit.
    #[error("is too large: {} bytes, the limit is {} MiB", Thousands(*.bytes), .most_mib)]
    TooLarge {
        /// The size of the file.
        bytes: u64,
        /// The limit, in MiB.
        most_mib: u64,
    },
    /// The pin in the configuration is not a digest.
    #[error("is pinned to {0:?}, which is not a SHA-256 digest (64 hexadecimal digits)")]
    BadPin(String),
    /// The file is not the one the configuration pins.
    #[error("is not the pinned one: sha256 {expected} is expected, the file has {found}")]
    OtherDigest {
        /// The digest that the configuration pins.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// Not WebAssembly at all.
    #[error("is not a WebAssembly file: it starts with {0}")]
    NotWasm(String),
    /// A module that was not made a component.
    #[error("is a core module, not a component")]
    CoreModule,
    /// Cut off, or damaged.
    #[error("is truncated or corrupt: {0}")]
    Corrupt(String),
    /// It imports a system interface of WASI.
    #[error("imports the system interface {0}, but a policy has no system")]
    Wasi(String),
    /// Anything else outside the world.
    #[error("imports {0}, which is not part of the policy world")]
    Import(String),
    /// Another version of this package.
    #[error("speaks {found}, this kube-ipam speaks {expected}")]
    Version {
        /// The interface that the module speaks.
        found: String,
        /// The interface that this program speaks.
        expected: String,
    },
    /// It is some component, and not a policy.
    #[error("does not export {0}")]
    NoExport(String),
    /// The names are right, a type is not.
    #[error("does not fit the policy world: {0}")]
    Type(String),
    /// Malformed, or uses a proposal of WebAssembly that is switched off.
    #[error("is not valid here: {0}")]
    Invalid(String),
    /// The compiler ran into the limit on time.
    #[error("took too long to compile: the limit is {0} s")]
    CompileTime(u64),
    /// The compiler ran into the limit on memory.
    #[error("needed too much memory to compile: the limit is {0} MiB")]
    CompileMemory(u64),
    /// The compiler could not be run, or broke.
    #[error("could not be compiled: {0}")]
    Compiler(String),
    /// Nobody compiled it yet, and nobody was asked to.
    #[error("is not compiled yet")]
    Uncompiled,
    /// The time of the call was over before it was compiled.
    #[error("could not be compiled in time: {by}, for {seconds} s so far")]
    Unfinished {
        /// Whose turn to compile it was.
        by: Compiling,
        /// How long that compiler had been at work.
        seconds: u64,
    },
    /// The time of the call was over before others had compiled, none of which can keep what it made.
    #[error("could not be compiled in time: without a cache every call compiles, one after the other ({0})")]
    NoTurn(String),
    /// A packed file whose content is above the limit.
    #[error("is too large: it unpacks to more than {0} MiB")]
    UnpacksTooLarge(u64),
    /// A packed file that cannot be unpacked.
    #[error("cannot be unpacked: {0}")]
    NotUnpacked(String),
}

/// Which module was being compiled when the time of a call was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compiling {
    /// This one, by the call's own compiler or by that of an earlier call.
    Own,
    /// Another one: one process of those with the same cache compiles at a time.
    Another,
}

impl fmt::Display for Compiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "the compiler was still at work",
            Self::Another => "another process was still compiling",
        })
    }
}

impl Flaw {
    fn hint(&self, module: &str) -> Option<String> {
        match self {
            Self::Import(_) | Self::NoExport(_) | Self::Type(_) | Self::Invalid(_) => {
                Some(format!("see all of it: kube-ipam policy inspect {module}"))
            }
            _ => self.way_out(module).or_else(|| Some(self.another_file(module))),
        }
    }

    /// Where nothing can be told of how it was built.
    fn another_file(&self, module: &str) -> String {
        let install = "`kube-ipam policy install FILE --network NETWORK`";
        match self {
            Self::Missing => format!("check the path; on a node, put the module there first ({install})"),
            Self::Unreadable(_) => "make it a regular file that root can read, or correct policy.module".to_owned(),
            Self::NotUnpacked(_) => {
                format!("pack it again, and compare the copies: gzip -k MODULE.wasm; gzip -t {module}")
            }
            Self::BadPin(_) => format!("`kube-ipam policy inspect {module}` shows the digest for policy.sha256"),
            Self::TooLarge { .. } | Self::UnpacksTooLarge(_) => {
                "build it without debug information: kube-ipam policy build".to_owned()
            }
            Self::Compiler(_) | Self::Uncompiled => format!("compile it ahead of time to see the details: {install}"),
            _ => format!("install the module again, which checks it first: {install}"),
        }
    }

    /// What fixes it, where that is known.
    pub(super) fn way_out(&self, module: &str) -> Option<String> {
        Some(match self {
            Self::OtherDigest { found, .. } => format!("if this is the module you want, set policy.sha256 to {found}"),
            Self::CoreModule => {
                format!(
                    "make it a component: kube-ipam policy build, or wasm-tools component new {module} -o policy.wasm"
                )
            }
            Self::Wasi(_) => "build Rust for wasm32-unknown-unknown instead of a WASI target".to_owned(),
            Self::Version { expected, .. } => format!("rebuild the policy against {expected}"),
            Self::CompileTime(_) | Self::Unfinished { .. } => format!(
                "compile it ahead of time: `kube-ipam policy install {module} --network NETWORK`; an ADD may take \
                 policy.limits.compileSeconds"
            ),
            Self::NoTurn(_) => format!(
                "make the cache's directory root's alone (mode 0700) and writable by nobody else above it; then `kube-ipam \
                 policy install {module} --network NETWORK` compiles the module once"
            ),
            Self::CompileMemory(_) => "raise policy.limits.compileMiB".to_owned(),
            _ => return None,
        })
    }
}

/// What a run of a policy did wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It used up one of its limits.
    #[error("{}: the limit is {} {}", .limit.seen, Thousands(*.value), .limit.unit)]
    Limit {
        /// The limit that it ran into.
        limit: &'static Limit,
        /// What the limit is here, by default or by configuration.
        value: u64,
    },
    /// It panicked and said why.
    #[error("{0}")]
    Panicked(String),
    /// It trapped: an instruction could not be carried out.
    #[error("trapped: {trap}{}", last_words(.said))]
    Trapped {
        /// What kind of trap it was, in wasmtime's words.
        trap: String,
        /// Its last log line of level error.
        said: Option<String>,
    },
    /// It left its own memory: by a bad pointer, or because it recursed too deeply. A guest keeps most of its stack there.
    #[error("trapped: out of bounds memory access, or its stack overflowed{}", last_words(.0))]
    OutOfBounds(Option<String>),
    /// It was refused more memory, by what its module declares or by this machine, and went wrong after that.
    #[error("{0}; before that, its memory could not grow any more")]
    Starved(Box<Self>),
    /// What it handed over is not of the type it promised.
    #[error("handed over malformed data: {0}")]
    Malformed(String),
    /// It asked something that has no answer.
    #[error("asked a question without an answer: {0}")]
    Question(String),
    /// A verdict without content.
    #[error("returned neither a proposal nor a refusal")]
    NoProposal,
    /// A proposal that would break the network.
    #[error("returned a bad proposal, number {nth} of {of}: {error}")]
    Proposal {
        /// Which proposal it is, counted from 1.
        nth: usize,
        /// How many there are.
        of: usize,
        /// What is wrong with it.
        error: ProposalError,
    },
    /// This machine, or `ulimit -v`, gives less than the limits allow.
    #[error("could not be given its memory: {0}")]
    NoMemory(String),
    /// The engine itself broke.
    #[error("broke the wasm engine: {0}")]
    Engine(String),
}

impl Fault {
    /// Whether the run may have ended because there was too much to do: the limits of this program, of the module itself
    /// or of the machine.
    fn is_of_a_limit(&self) -> bool {
        matches!(self, Self::Limit { .. } | Self::OutOfBounds(_) | Self::Starved(_) | Self::NoMemory(_))
    }
}

fn last_words(said: &Option<String>) -> String {
    said.as_ref().map(|said| format!(", after saying {said:?}")).unwrap_or_default()
}
