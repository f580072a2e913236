//! Why a verb failed. What code each becomes stands in `codes`.

use std::net::IpAddr;
use std::time::Duration;

use crate::ipam::{Attachment, Holder, PodName, Refusal, Usage};
use crate::{cni, config, policy, store};

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
    Policy(#[from] policy::PolicyError),
    /// The policy said no.
    #[error("network {network:?}: {refusal}")]
    Refused {
        /// The network asked.
        network: String,
        /// What the policy said.
        refusal: Refusal,
    },
    /// A pod whose annotations nobody told: it may have asked for a fixed address.
    #[error(
        "the annotations of pod {pod} are not known: the runtime did not pass them, and asking the API server that ipam.kubeConfig names is not possible yet"
    )]
    AnnotationsUnknown {
        /// The pod.
        pod: PodName,
    },
    /// A range set has no free address.
    #[error("range set {range_set} is full: {} of {} addresses held", .usage.held, .usage.size)]
    Full {
        /// Index of the range set.
        range_set: usize,
        /// How full it is.
        usage: Usage,
    },
    /// The address the pod named is held by another, who does not hand it over.
    #[error("{address} is held by {}", holder_text(holder))]
    Taken {
        /// The address.
        address: IpAddr,
        /// Who has it.
        holder: Holder,
    },
    /// Every proposal lost its race, again and again.
    #[error("network {network:?} is too contended: all proposals were taken by others {attempts} times")]
    Contended {
        /// The network.
        network: String,
        /// How often the policy was asked.
        attempts: u32,
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
    #[error("not done within {timeout:?} (ipam.timeout)")]
    Late {
        /// The configured time.
        timeout: Duration,
    },
    /// CHECK found addresses that this attachment does not hold.
    #[error("{attachment} does not hold {}", list(addresses))]
    NotHeld {
        /// Who should hold them.
        attachment: Attachment,
        /// What it does not hold.
        addresses: Vec<IpAddr>,
    },
    /// GC could not release everything.
    #[error("{} attachments could not be released: {}", failures.len(), failures_text(failures))]
    Garbage {
        /// Each with its reason.
        failures: Vec<(Attachment, store::StoreError)>,
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
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cni(error) => error.hint(),
            Self::Config(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Full { .. } | Self::Refused { refusal: Refusal::Exhausted(_), .. } => {
                Some("`kube-ipam list` shows who holds the addresses; enlarge the range or delete pods".to_owned())
            }
            Self::Taken { holder: Holder::Attachment(_), .. } => {
                Some("the address is free as soon as its holder is deleted; the runtime retries until then".to_owned())
            }
            Self::Taken { holder: Holder::Hold { until, .. }, .. } => Some(format!("it is free again at {until}")),
            Self::Late { .. } => Some("the runtime tries again; a DEL releases whatever was claimed".to_owned()),
            Self::Contended { .. } => Some("the runtime retries; a larger range has fewer races".to_owned()),
            Self::NotReady { cause, .. } => cause.hint(),
            Self::Defect { .. } => Some("please report this, with the log".to_owned()),
            Self::AnnotationsUnknown { .. } => Some(
                "declare \"capabilities\": {\"io.kubernetes.cri.pod-annotations\": true} in the network, so that the \
                 runtime passes them; or remove kubeConfig if no pod needs a fixed address"
                    .to_owned(),
            ),
            Self::Refused { .. } | Self::Inquisitive { .. } | Self::NotHeld { .. } | Self::Garbage { .. } => None,
        }
    }
}

fn holder_text(holder: &Holder) -> String {
    match holder {
        Holder::Attachment(held) => {
            let pod = held.pod.as_ref().map_or_else(String::new, |pod| format!("pod {pod}, "));
            format!("{pod}{} on node {} since {}", held.attachment, held.node, held.since)
        }
        Holder::Hold { identity, until } => format!("nobody, but kept for {identity:?} until {until}"),
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn failures_text(failures: &[(Attachment, store::StoreError)]) -> String {
    let text = |(attachment, error): &(Attachment, store::StoreError)| format!("{attachment}: {error}");
    failures.iter().map(text).collect::<Vec<_>>().join("; ")
}
