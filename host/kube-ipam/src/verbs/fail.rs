//! What a runtime is answered where a verb fails: the code and the hint of each failure. Both name every variant, so that a
//! new one can forget neither.

use super::Error;
use super::add::exhausted::OlderThanBoot;
use super::add::hand_over::sum_up;
use super::deadline::Waited;
use cni::{Fail, code};
use engine::Class;
use ipam::{Misfit, Refusal};
use store::StoreError;

/// What to do where two plugins of one list ask for addresses.
pub(crate) const ONE_PLUGIN_OF_A_LIST: &str = "keep ipam of type kube-ipam in one plugin of the list; for a second interface \
                                               make a second network, with a file and a name of its own";

/// What to do about a range without a free address.
pub(crate) const WHEN_FULL: &str = "`kube-ipam list` shows who holds the addresses; `kube-ipam reclaim` and the runtime's \
    GC release those of pods and containers that are gone; otherwise enlarge the range or delete pods";

impl Fail for Error {
    fn code(&self) -> u32 {
        match self {
            Self::Cni(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Store(error) => of_store(error),
            Self::Policy(error) => match error.class() {
                Class::Configuration => code::CONFIGURATION,
                Class::Fault => code::POLICY_FAULT,
            },
            Self::Refused { refusal } => match refusal {
                Refusal::Exhausted(_) => code::EXHAUSTED,
                Refusal::Taken(_) => code::TAKEN,
                Refusal::Invalid(_) => code::INVALID_REQUEST,
                Refusal::Denied(_) => code::DENIED,
            },
            Self::AskedTwice { .. } | Self::Kubernetes(cluster::Error::Kubeconfig { .. }) => code::CONFIGURATION,
            Self::Kubernetes(_) | Self::Contended { .. } | Self::Late { .. } | Self::Garbage { .. } => code::TRY_AGAIN,
            Self::Exhausted { .. } => code::EXHAUSTED,
            Self::Taken { .. } | Self::Ceded { .. } => code::TAKEN,
            Self::HandOverAnnotation { .. }
            | Self::Annotation { .. }
            | Self::Annotated(_)
            | Self::RequestedPrefix { .. } => code::INVALID_REQUEST,
            Self::Repetitive { .. } => code::POLICY_FAULT,
            Self::NotHeld { .. } => code::NOT_HELD,
            Self::NotReady { .. } => code::UNAVAILABLE,
            Self::Defect { .. } => code::DEFECT,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Cni(error) => return error.hint(),
            Self::Config(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Policy(error) => return error.hint(),
            Self::Kubernetes(error) => return error.hint(),
            Self::Annotated(unfollowed) => return Some(unfollowed.hint()),
            Self::Taken { holder, stays, .. } => return Some(stays.hint(holder)),
            Self::Garbage { failures, .. } => return failures.first().and_then(|(_, error)| error.hint()),
            Self::NotReady { cause, .. } if asks_again(cause) => "the runtime tries again",
            Self::NotReady { cause, .. } => return cause.hint(),
            Self::NotHeld { ceded, .. } if !ceded.is_empty() => return Some(sum_up(ceded)),
            Self::NotHeld { .. } => {
                "another pod may get it: delete this one, so that it starts again with an address of its own; on its node \
                 `kube-ipam fsck --containers` shows what else the store does not know"
            }
            Self::Exhausted { older, .. } => return Some(format!("{}; {WHEN_FULL}", older_text(older))),
            Self::Refused { refusal } => of_refusal(refusal),
            Self::RequestedPrefix { misfit, .. } => of_misfit(misfit),
            Self::Ceded { .. } => "the runtime retries; to keep a pod's address, leave out kube-ipam.hand-over",
            Self::AskedTwice { .. } => {
                return Some(format!(
                    "an interface gets its addresses once: {ONE_PLUGIN_OF_A_LIST}. `kube-ipam config check` names both \
                     plugins"
                ));
            }
            Self::HandOverAnnotation { .. } => {
                "\"rolling-update\" lets a pod of a newer revision of the same Deployment have the address while this one \
                 still runs; \"never\" does not, as without the annotation"
            }
            Self::Annotation { .. } => {
                "shorten it: a pool may name ranges (10.0.0.10-10.0.0.90) and subnets instead of single addresses"
            }
            Self::Late { waited: Waited::Compiler(module) | Waited::OtherCompiler(module), .. } => {
                return Some(format!(
                    "compile it ahead of time: kube-ipam policy install --conf NETWORK.conflist {module}; or raise \
                     ipam.timeout"
                ));
            }
            Self::Late { .. } => {
                "the runtime tries again; a DEL releases whatever was claimed; ipam.timeout may be raised"
            }
            Self::Contended { .. } => "the runtime retries; a larger range has fewer races",
            Self::Repetitive { .. } => {
                "`kube-ipam list` shows who holds them; a policy has to ask the pool what is free"
            }
            Self::Defect { .. } => "please report this, with the log",
        };
        Some(text.to_owned())
    }
}

/// What to do about a prefix that the runtime passed with an address.
fn of_misfit(misfit: &Misfit) -> &'static str {
    match misfit {
        Misfit::Network(..) | Misfit::Broadcast(..) => "ask for it without a prefix, or for another address",
        Misfit::Gateway(..) | Misfit::GatewayAtEnd(..) => {
            "ask for it without a prefix, or name a gateway in that subnet with annotation kube-ipam.gateway"
        }
    }
}

fn of_store(error: &StoreError) -> u32 {
    match error {
        error if error.is_transient() => code::TRY_AGAIN,
        StoreError::Full { .. } | StoreError::DiskFull { .. } | StoreError::Refused { .. } => code::TRY_AGAIN,
        StoreError::Credentials { .. }
        | StoreError::KeyTooLong { .. }
        | StoreError::Format { .. }
        | StoreError::Moved(_) => code::CONFIGURATION,
        StoreError::Unreadable { source, .. } => of_store(source),
        _ => code::IO,
    }
}

/// Whether a STATUS came too late and left nothing to be done. Where a compiler was waited for, something is.
fn asks_again(cause: &Error) -> bool {
    matches!(cause, Error::Late { waited: Waited::ApiServer | Waited::Store | Waited::Nothing, .. })
}

fn older_text(older: &OlderThanBoot) -> String {
    let OlderThanBoot { count, is_least, booted } = older;
    let least = if *is_least { "at least " } else { "" };
    let claims = if *count == 1 { "claim of this node was" } else { "claims of this node were" };
    format!("{least}{count} {claims} made before it booted at {booted:.0}: their containers are gone")
}

/// The policy says what is wrong; this is where to put it right.
fn of_refusal(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Exhausted(_) => WHEN_FULL,
        Refusal::Taken(_) => "the address is free as soon as its holder is deleted; the runtime retries until then",
        Refusal::Invalid(_) => {
            "correct it in the pod, in the template of its workload, or in what the runtime asks for (CNI_ARGS, \
             args.cni.ips, runtimeConfig.ips)"
        }
        Refusal::Denied(_) => {
            "that is a rule of the network's policy: change the pod, or ipam.policy in the network's configuration; \
             `kube-ipam policy run` tries a rule"
        }
    }
}
