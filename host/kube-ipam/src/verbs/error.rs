//! Why a verb failed. What a runtime is answered then, code and hint, is in `fail`.

use std::net::IpAddr;
use std::time::Duration;

use super::Waited;
use super::add::annotations::Unfollowed;
use super::add::exhausted::Shortage;
use super::add::hand_over::{Stays, sum_up};
use crate::config;
use cluster::HAND_OVER;
use cni::Fail;
use engine::Undecided;
use ipam::shown::{first_of, joined};
use ipam::{Attachment, Ceded, Holder, Misfit, Refusal};
use limits::{Limit, Thousands};
use store::Hold;

/// The failure of a verb. Display says what failed, and on which object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment or the configuration's form.
    #[error(transparent)]
    Cni(#[from] cni::Error),
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The policy module, or a run of it.
    #[error(transparent)]
    Policy(#[from] engine::PolicyError),
    /// The policy said no. Its own words and nothing before them: policies name the network where it matters, and so
    /// does the runtime that passes the error on.
    #[error("{refusal}")]
    Refused { refusal: Refusal },
    /// The policy found no free address, and this is what stands in the way.
    #[error("{refusal}")]
    Exhausted { refusal: Refusal, shortage: Shortage },
    /// The API server, asked about the pod.
    #[error(transparent)]
    Kubernetes(#[from] cluster::Error),
    /// The address the pod named is held by another, who does not hand it over.
    #[error("{address} is {}", holder_text(holder))]
    Taken { address: IpAddr, holder: Holder, stays: Stays },
    /// ADD again of an attachment that let another have what it holds.
    #[error("{attachment} ceded its address: {}", sum_up(ceded))]
    Ceded { attachment: Attachment, ceded: Vec<Ceded> },
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
    HandOverAnnotation { whose: String, value: String },
    /// Every proposal lost its race, again and again.
    #[error("network {network:?} is too contended: all proposals were taken by others {attempts} times")]
    Contended { network: String, attempts: u32 },
    /// The policy proposed what was lost already, again and again.
    #[error(
        "policy {policy}: allocate proposed the same addresses at each of {attempts} attempts, and others hold them: {}",
        list(addresses)
    )]
    Repetitive { policy: String, attempts: u32, addresses: Vec<IpAddr> },
    /// The invocation took longer than `timeout`.
    #[error("timed out after {timeout:?} (ipam.timeout): {waited}")]
    Late { timeout: Duration, waited: Waited },
    /// STATUS: the policy's module is not compiled yet, which may take longer than a runtime waits for an answer.
    #[error("{waited}")]
    Compiling { module: String, waited: Waited },
    /// An annotation of ours that is longer than a policy is told.
    #[error("{what}: {} bytes are too many for a policy; the limit is {} {}", Thousands(*.bytes), .limit.default, .limit.unit)]
    Annotation {
        /// The annotation, or all of them, and whose.
        what: String,
        /// How long that is.
        bytes: u64,
        limit: &'static Limit,
    },
    /// An annotation of ours that cannot be followed, whatever the policy.
    #[error(transparent)]
    Annotated(#[from] Box<Unfollowed>),
    /// The runtime asks for an address with a prefix with which the pod could not use it.
    #[error("the runtime asks for {address}/{prefix_length}, but {misfit}")]
    RequestedPrefix {
        address: IpAddr,
        /// How long the runtime wants its subnet to be.
        prefix_length: u8,
        misfit: Misfit,
    },
    /// CHECK found addresses that this attachment does not hold.
    #[error("{attachment} does not hold {}", list(addresses))]
    NotHeld {
        /// Who should hold them.
        attachment: Box<Attachment>,
        addresses: Vec<IpAddr>,
        /// Which of it another has for the time being.
        ceded: Vec<Ceded>,
    },
    /// GC could not release everything.
    #[error("{} could not be released: {}", attachments(failures.len()), failures_text(failures, stopped.as_deref()))]
    Garbage {
        failures: Vec<(Attachment, store::StoreError)>,
        /// Why not everything was looked at, if it was not.
        stopped: Option<Box<Self>>,
    },
    /// STATUS: an ADD could not work.
    #[error("network {network:?} cannot serve an ADD")]
    NotReady {
        network: String,
        #[source]
        cause: Box<Self>,
    },
    /// A defect of this program, caught before it could cross the CNI boundary.
    #[error("kube-ipam itself failed: {message}")]
    Defect { message: String },
}

impl From<Undecided<store::StoreError>> for Error {
    fn from(undecided: Undecided<store::StoreError>) -> Self {
        match undecided {
            Undecided::Policy(error) => Self::Policy(error),
            Undecided::Unanswered(error) => Self::Store(error),
        }
    }
}

impl Error {
    /// Whether the policy is to blame: it cannot be used, or it misbehaved. A refusal is its good right.
    pub(crate) fn is_fault_of_policy(&self) -> bool {
        matches!(self, Self::Policy(_))
    }

    /// Whether the built-in policy may decide instead, where the configuration allows it. Not where a limit was reached,
    /// which a pod's author can bring about.
    pub(crate) fn may_be_replaced(&self) -> bool {
        matches!(self, Self::Policy(error) if error.may_be_replaced())
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
        Holder::Hold { identity, until } => Hold::describe(identity, *until),
        Holder::Reservation(reservation) => reservation.to_string(),
    }
}

fn list(addresses: &[IpAddr]) -> String {
    first_of(addresses, NAMED, ", ", ToString::to_string)
}

fn attachments(count: usize) -> String {
    if count == 1 { "1 attachment".to_owned() } else { format!("{count} attachments") }
}

fn failures_text(failures: &[(Attachment, store::StoreError)], stopped: Option<&Error>) -> String {
    // Whatever the names are, two failures fit into an event, or one and why the rest was not looked at.
    let most = if stopped.is_some() { 1 } else { 2 };
    let mut text = first_of(failures, most, "; ", |(attachment, error)| format!("{attachment}: {}", joined(error)));
    if let Some(error) = stopped {
        text.push_str(&format!("; the rest could not be looked at: {}", error.message()));
    }
    text
}
