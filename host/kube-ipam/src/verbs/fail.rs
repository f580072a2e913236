//! What a runtime is answered where a verb fails: the code and the hint of each failure. Both name every variant, so that a
//! new one can forget neither.

use super::Error;
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
pub(crate) const WHEN_FULL: &str = "`kube-ipam reclaim --network NETWORK` releases what deleted pods hold, as the runtime's GC \
    does; `kube-ipam list --network NETWORK` shows the rest; otherwise enlarge the range";

/// The same, where something is known that releases addresses.
pub(crate) const SHOWS_THE_REST: &str =
    "`kube-ipam list --network NETWORK` shows the rest; otherwise enlarge the range";

/// Where the API server, the store or a clock may be the reason.
const ASK_THE_DOCTOR: &str = "`kube-ipam doctor --network NETWORK` on that node says what is wrong";

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
            Self::Kubernetes(_)
            | Self::Contended { .. }
            | Self::Late { .. }
            | Self::Compiling { .. }
            | Self::Garbage { .. } => code::TRY_AGAIN,
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
            Self::Taken { address, holder, stays } => return Some(stays.hint(*address, holder)),
            Self::Garbage { failures, .. } => return failures.first().and_then(|(_, error)| error.hint()),
            Self::NotReady { cause, .. } if asks_again(cause) => {
                return Some(format!("the runtime tries again; {ASK_THE_DOCTOR}"));
            }
            Self::NotReady { cause, .. } => return cause.hint(),
            Self::NotHeld { ceded, .. } if !ceded.is_empty() => return Some(sum_up(ceded)),
            Self::NotHeld { .. } => {
                "another pod may get it: delete this one, so that it starts again with an address of its own; on its node \
                 `kube-ipam fsck --containers --network NETWORK` shows what else the store does not know"
            }
            Self::Exhausted { shortage, .. } => return Some(shortage.hint()),
            Self::Refused { refusal } => of_refusal(refusal),
            Self::RequestedPrefix { misfit, .. } => of_misfit(misfit),
            Self::Ceded { .. } => {
                "the runtime retries; to keep a pod's address, leave out kube-ipam.hand-over; `kube-ipam list --network \
                 NETWORK` shows who has it now"
            }
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
            Self::Late { waited: Waited::Compiler { module, .. } | Waited::OtherCompiler { module, .. }, .. } => {
                return Some(format!(
                    "compile it ahead of time: `kube-ipam policy install {module} --network NETWORK`; or raise ipam.timeout"
                ));
            }
            Self::Compiling { module, .. } => {
                return Some(format!(
                    "the runtime asks again; it is compiled once. To compile a module before a network uses it: \
                     kube-ipam policy install {module} --network NETWORK"
                ));
            }
            Self::Late { .. } => {
                return Some(format!(
                    "the runtime tries again; a DEL releases whatever was claimed; ipam.timeout may be raised; {ASK_THE_DOCTOR}"
                ));
            }
            Self::Contended { .. } => {
                "the runtime retries; a larger range has fewer races: `kube-ipam usage --network NETWORK` shows how full it is"
            }
            Self::Repetitive { .. } => {
                "a policy has to ask the pool what is free; `kube-ipam list --network NETWORK` shows who holds them"
            }
            Self::Defect { .. } => {
                "please report this, with the log and what `kube-ipam doctor --network NETWORK --bundle FILE` writes"
            }
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

/// The policy says what is wrong; this is where to put it right.
fn of_refusal(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Exhausted(_) => WHEN_FULL,
        Refusal::Taken(_) => {
            "the address is free as soon as its holder is deleted; the runtime retries until then; `kube-ipam list \
             --network NETWORK` shows who holds it"
        }
        Refusal::Invalid(_) => {
            "correct it in the pod, in the template of its workload, or in what the runtime asks for (CNI_ARGS, \
             args.cni.ips, runtimeConfig.ips); `kube-ipam usage --network NETWORK` shows the ranges"
        }
        Refusal::Denied(_) => {
            "that is a rule of the network's policy: change the pod, or ipam.policy in the network's configuration; \
             `kube-ipam policy run --conf FILE` tries a rule"
        }
    }
}
