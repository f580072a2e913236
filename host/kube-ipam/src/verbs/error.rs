//! Why a verb failed. What code each becomes stands in `codes`.

use std::net::IpAddr;
use std::time::Duration;

use super::Waited;
use super::add::annotations::Unfollowed;
use super::add::exhausted::OlderThanBoot;
use super::add::hand_over::{Stays, sum_up};
use crate::config;
use cluster::HAND_OVER;
use cni::failure::joined;
use ipam::{Attachment, Ceded, Holder, Misfit, Refusal};
use limits::{Limit, Thousands};
use store::KeptAddress;

/// What to do where two plugins of one list ask for addresses.
pub(crate) const ONE_PLUGIN_OF_A_LIST: &str = "keep ipam of type kube-ipam in one plugin of the list; for a second interface \
                                               make a second network, with a file and a name of its own";

/// The failure of a verb. Display says what failed and on which object; [`Error::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment or the configuration's form.
    #[error(transparent)]
    Cni(#[from] cni::Error),
    /// The configuration's meaning.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The address store.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The policy module, or a run of it.
    #[error(transparent)]
    Policy(#[from] engine::PolicyError),
    /// The policy said no. Its own words and nothing before them: policies name the network where it matters, and so
    /// does the runtime that passes the error on.
    #[error("{refusal}")]
    Refused {
        /// What the policy said.
        refusal: Refusal,
    },
    /// The policy found no free address, and the node was started after some of the claims that stand in the way were made.
    #[error("{refusal}")]
    Exhausted {
        /// What the policy said.
        refusal: Refusal,
        /// What nobody can be using any more.
        older: OlderThanBoot,
    },
    /// The API server, asked about the pod.
    #[error(transparent)]
    Kubernetes(#[from] cluster::Error),
    /// The address the pod named is held by another, who does not hand it over.
    #[error("{address} is {}", holder_text(holder))]
    Taken {
        /// The address.
        address: IpAddr,
        /// Who has it.
        holder: Holder,
        /// Why it is not handed over.
        stays: Stays,
    },
    /// ADD again of an attachment that let another have what it holds.
    #[error("{attachment} ceded its address: {}", sum_up(ceded))]
    Ceded {
        /// Whose it was.
        attachment: Attachment,
        /// What it ceded, and to whom.
        ceded: Vec<Ceded>,
    },
    /// ADD by a second plugin of the list that the runtime works through.
    #[error("{attachment} has {address} already, from a plugin earlier in the list")]
    AskedTwice {
        /// For whom both plugins ask.
        attachment: Attachment,
        /// What the earlier one was given.
        address: IpAddr,
    },
    /// What the pod says about letting another have its address.
    #[error("annotation {HAND_OVER} of {whose} is {value:?}, and not \"rolling-update\" or \"never\"")]
    HandOverAnnotation {
        /// The pod that asks.
        whose: String,
        /// What it says.
        value: String,
    },
    /// Every proposal lost its race, again and again.
    #[error("network {network:?} is too contended: all proposals were taken by others {attempts} times")]
    Contended {
        /// The network.
        network: String,
        /// How often the policy was asked.
        attempts: u32,
    },
    /// The policy proposed what was lost already, again and again.
    #[error(
        "policy {policy}: allocate proposed the same addresses at each of {attempts} attempts, and others hold them: {}",
        list(addresses)
    )]
    Repetitive {
        /// The module.
        policy: String,
        /// How often it was asked.
        attempts: u32,
        /// What it proposed.
        addresses: Vec<IpAddr>,
    },
    /// The policy kept asking about parts of the ranges that were not read yet.
    #[error("policy {policy}: allocate asked for more than {limit} reads of the store")]
    Inquisitive {
        /// The module.
        policy: String,
        /// How many reads a decision may cause.
        limit: u32,
    },
    /// The invocation took longer than `timeout`.
    #[error("timed out after {timeout:?} (ipam.timeout): {waited}")]
    Late {
        /// The configured time.
        timeout: Duration,
        /// What kept it.
        waited: Waited,
    },
    /// An annotation of ours that is longer than a policy is told.
    #[error("{what}: {} bytes are too many for a policy; the limit is {} {}", Thousands(*.bytes), .limit.default, .limit.unit)]
    Annotation {
        /// The annotation, or all of them, and whose.
        what: String,
        /// How long that is.
        bytes: u64,
        /// Which limit that is beyond.
        limit: &'static Limit,
    },
    /// An annotation of ours that cannot be followed, whatever the policy.
    #[error(transparent)]
    Annotated(#[from] Box<Unfollowed>),
    /// The runtime asks for an address with a prefix with which the pod could not use it.
    #[error("the runtime asks for {address}/{prefix_length}, but {misfit}")]
    RequestedPrefix {
        /// The address.
        address: IpAddr,
        /// How long the runtime wants its subnet to be.
        prefix_length: u8,
        /// What is wrong with it.
        misfit: Misfit,
    },
    /// CHECK found addresses that this attachment does not hold.
    #[error("{attachment} does not hold {}", list(addresses))]
    NotHeld {
        /// Who should hold them.
        attachment: Box<Attachment>,
        /// What it does not hold.
        addresses: Vec<IpAddr>,
        /// Which of it another has for the time being.
        ceded: Vec<Ceded>,
    },
    /// GC could not release everything.
    #[error("{} could not be released: {}", attachments(failures.len()), failures_text(failures, stopped.as_deref()))]
    Garbage {
        /// Each with its reason.
        failures: Vec<(Attachment, store::StoreError)>,
        /// Why not everything was looked at, if it was not.
        stopped: Option<Box<Self>>,
    },
    /// STATUS: an ADD could not work.
    #[error("network {network:?} cannot serve an ADD")]
    NotReady {
        /// The network.
        network: String,
        /// Why.
        #[source]
        cause: Box<Self>,
    },
    /// A defect of this program, caught before it could cross the CNI boundary.
    #[error("kube-ipam itself failed: {message}")]
    Defect {
        /// The panic's text.
        message: String,
    },
}

impl Error {
    /// Whether the policy is to blame: it cannot be used, or it misbehaved. A refusal is its good right.
    pub(crate) fn is_fault_of_policy(&self) -> bool {
        matches!(self, Self::Policy(_) | Self::Inquisitive { .. })
    }

    /// Whether the built-in policy may decide instead, where the configuration allows it. Not where a limit was reached,
    /// which a pod's author can bring about; a policy that asks for too many reads is such a case.
    pub(crate) fn may_be_replaced(&self) -> bool {
        matches!(self, Self::Policy(error) if error.may_be_replaced())
    }

    /// A call that came too late and left nothing to be done: whoever asked for the status asks again.
    fn is_late_for_nobody(&self) -> bool {
        matches!(self, Self::Late { waited: Waited::ApiServer | Waited::Store | Waited::Nothing, .. })
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cni(error) => error.hint(),
            Self::Config(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Kubernetes(error) => error.hint(),
            Self::Exhausted { older, .. } => Some(format!("{}; {WHEN_FULL}", older_text(older))),
            Self::Refused { refusal } => Some(of_refusal(refusal).to_owned()),
            Self::Taken { holder, stays, .. } => Some(stays.hint(holder)),
            Self::Ceded { .. } => Some(
                "the runtime retries; to keep a pod's address, leave out kube-ipam.hand-over".to_owned(),
            ),
            Self::AskedTwice { .. } => Some(format!(
                "an interface gets its addresses once: {ONE_PLUGIN_OF_A_LIST}. `kube-ipam config check` names both plugins"
            )),
            Self::HandOverAnnotation { .. } => Some(
                "\"rolling-update\" lets a pod of a newer revision of the same Deployment have the address while this one \
                 still runs; \"never\" does not, as without the annotation"
                    .to_owned(),
            ),
            Self::Annotated(unfollowed) => Some(unfollowed.hint()),
            Self::RequestedPrefix { misfit, .. } => Some(misfit.hint().to_owned()),
            Self::NotHeld { ceded, .. } if !ceded.is_empty() => Some(sum_up(ceded)),
            Self::NotHeld { .. } => Some(
                "another pod may get it: delete this one, so that it starts again with an address of its own; on its node \
                 `kube-ipam fsck --containers` shows what else the store does not know"
                    .to_owned(),
            ),
            Self::Garbage { failures, .. } => failures.first().and_then(|(_, error)| error.hint()),
            Self::Late { waited: Waited::Compiler(module) | Waited::OtherCompiler(module), .. } => Some(format!(
                "compile it ahead of time: kube-ipam policy install --conf NETWORK.conflist {module}; or raise \
                 ipam.timeout"
            )),
            Self::Annotation { .. } => Some(
                "shorten it: a pool may name ranges (10.0.0.10-10.0.0.90) and subnets instead of single addresses"
                    .to_owned(),
            ),
            Self::Late { .. } => Some(
                "the runtime tries again; a DEL releases whatever was claimed; ipam.timeout may be raised".to_owned(),
            ),
            Self::Contended { .. } => Some("the runtime retries; a larger range has fewer races".to_owned()),
            Self::Repetitive { .. } => {
                Some("`kube-ipam list` shows who holds them; a policy has to ask the pool what is free".to_owned())
            }
            Self::NotReady { cause, .. } if cause.is_late_for_nobody() => Some("the runtime tries again".to_owned()),
            Self::NotReady { cause, .. } => cause.hint(),
            Self::Defect { .. } => Some("please report this, with the log".to_owned()),
            Self::Inquisitive { .. } => Some(
                "each question about a part of the ranges that was not read yet costs a read: the policy should ask \
                 about spans, or about fewer addresses"
                    .to_owned(),
            ),
        }
    }
}

/// What to do about a range without a free address.
pub(crate) const WHEN_FULL: &str = "`kube-ipam list` shows who holds the addresses; `kube-ipam reclaim` and the runtime's \
    GC release those of pods and containers that are gone; otherwise enlarge the range or delete pods";

fn older_text(older: &OlderThanBoot) -> String {
    let OlderThanBoot { count, is_least, booted } = older;
    let least = if *is_least { "at least " } else { "" };
    let claims = if *count == 1 { "claim of this node is" } else { "claims of this node are" };
    format!("{least}{count} {claims} older than its boot at {booted:.0}, so that their containers are gone")
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

/// How many objects are named one by one in an error: it has to fit into an event, and a command shows them all.
const NAMED: usize = 5;

fn holder_text(holder: &Holder) -> String {
    match holder {
        Holder::Attachment(held) => {
            let pod = held.pod.as_ref().map_or_else(String::new, |pod| format!("pod {pod}, "));
            format!("held by {pod}{} on node {} since {}", held.attachment, held.node, held.since)
        }
        Holder::Hold { identity, until } if identity == KeptAddress::COOLING_DOWN => {
            format!("cooling down until {until}")
        }
        Holder::Hold { identity, until } => format!("reserved for {identity:?} until {until}"),
    }
}

fn list(addresses: &[IpAddr]) -> String {
    first_of(addresses, NAMED, ", ", ToString::to_string)
}

fn attachments(count: usize) -> String {
    if count == 1 { "1 attachment".to_owned() } else { format!("{count} attachments") }
}

fn failures_text(failures: &[(Attachment, store::StoreError)], stopped: Option<&Error>) -> String {
    let text = |most| first_of(failures, most, "; ", |(attachment, error)| format!("{attachment}: {}", joined(error)));
    match stopped {
        None => text(2),
        Some(error) => format!("{}; the others could not be examined: {}", text(1), joined(error)),
    }
}

/// Some of them by name, and how many there are besides.
fn first_of<T>(all: &[T], most: usize, between: &str, text: impl Fn(&T) -> String) -> String {
    let mut named = all.iter().take(most).map(text).collect::<Vec<_>>().join(between);
    if let Some(more @ 1..) = all.len().checked_sub(most) {
        named.push_str(&format!("{between}and {more} more"));
    }
    named
}
