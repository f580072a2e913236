//! The history of a node: a file with a line for each claim that began or ended here, and for each act of an operator.
//!
//! ```text
//!  verbs ── note ──► the lines of this call ── write, after the answer ──► dataDir/history.jsonl ──► …jsonl.1, when it is full
//!  commands ─────────────────────────────────── append ──────────────────►      │
//!                                                                               ▼
//!  `kube-ipam history` ◄── tenures ◄── the store's word on today ◄── read, of this node, and of others by --journal
//! ```
//!
//! It is kept on the node and not in the store: in etcd each line would be a write more of every ADD and DEL, on every member,
//! for a question that is asked once a month. So the history of an address that has moved about is on several nodes, and
//! whoever reads one of them is told so.
//!
//! The line of a call is written after its answer, in one write, with no lock that is waited for: a node that cannot keep
//! its history goes on without. A line begins with its line break, so that one that a full disk has cut, or a killed process,
//! does not take the next one with it.

mod reader;
mod tenure;

use std::borrow::Cow;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use reader::{JournalLine, Reach, lines, lines_of};
pub use tenure::{Present, Tenure, Until, tenures};

use crate::config::HistoryConfig;
use files::RotatedFile;
use ipam::Claim;

/// Something that happened to addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    pub at: Timestamp,
    pub what: What,
    /// The domain of the addresses.
    pub domain: Cow<'a, str>,
    /// The claim that began or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Cow<'a, Claim>>,
    /// Addresses, ranges or subnets, where it is about no claim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Which operator did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Cow<'a, str>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// An ADD made the claim.
    Claimed,
    /// A DEL ended it.
    Released,
    /// A newer container of the same pod ended it.
    Replaced,
    /// A GC ended it.
    Collected,
    /// `kube-ipam reclaim` ended it: its pod was gone.
    Reclaimed,
    /// `kube-ipam release` ended it.
    ReleasedByHand,
    /// `kube-ipam release` ended a hold or a cool-down.
    HoldEnded,
    /// It came from other records.
    Imported,
    /// Other records have it since.
    MovedAway,
    /// `kube-ipam fsck --repair` wrote or removed records.
    Repaired,
    /// Addresses went out of circulation.
    Reserved,
    /// Addresses came back into circulation.
    Unreserved,
    /// Another pod has the address now, with the consent of this one.
    Ceded,
    /// The address came back from the pod that it was ceded to.
    GivenBack,
    /// A later version wrote this.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claimed => "claimed",
            Self::Released => "released",
            Self::Replaced => "replaced by a newer container of the pod",
            Self::Collected => "released by GC",
            Self::Reclaimed => "reclaimed",
            Self::ReleasedByHand => "released by hand",
            Self::HoldEnded => "hold ended by hand",
            Self::Imported => "imported",
            Self::MovedAway => "moved to other records",
            Self::Repaired => "repaired",
            Self::Reserved => "reserved",
            Self::Unreserved => "put back in circulation",
            Self::Ceded => "ceded",
            Self::GivenBack => "given back",
            Self::Unknown => "something that this version does not know",
        })
    }
}

impl<'a> Event<'a> {
    pub fn of_claim(what: What, domain: &'a str, claim: &'a Claim, at: Timestamp) -> Self {
        Self {
            at,
            what,
            domain: domain.into(),
            claim: Some(Cow::Borrowed(claim)),
            addresses: Vec::new(),
            by: None,
            reason: None,
        }
    }

    pub fn of_addresses(what: What, domain: &'a str, addresses: Vec<String>, at: Timestamp) -> Self {
        Self { at, what, domain: domain.into(), claim: None, addresses, by: None, reason: None }
    }

    #[must_use]
    pub fn by(self, by: &'a str, reason: Option<&'a str>) -> Self {
        Self { by: Some(by.into()), reason: reason.map(Cow::Borrowed), ..self }
    }

    /// The line, which begins with its line break. Panics on nothing: an event has no part that JSON cannot express.
    pub fn line(&self) -> String {
        let json = serde_json::to_string(self).expect("an event has text for keys, and no number that is not one");
        // The names in it are not ours, and people read this file.
        format!("\n{}", ipam::shown::json(&json))
    }
}

/// The lines of the call that this process serves.
struct Noted {
    config: HistoryConfig,
    lines: String,
}

static NOTED: Mutex<Option<Noted>> = Mutex::new(None);

fn noted() -> MutexGuard<'static, Option<Noted>> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keep the history of the call that this process serves from now on. What a command does it appends itself.
pub(crate) fn begin(config: Option<HistoryConfig>) {
    *noted() = config.map(|config| Noted { config, lines: String::new() });
}

/// Note what has become of a claim. Nothing where no history is kept, which is so wherever policies are only tried.
pub(crate) fn note(what: What, domain: &str, claim: &Claim, at: Timestamp) {
    if let Some(noted) = noted().as_mut() {
        noted.lines.push_str(&Event::of_claim(what, domain, claim, at).line());
    }
}

/// Write what was noted; the error names the file. The call was answered before, and nothing of this is its business.
pub(crate) fn write() -> Result<(), (HistoryConfig, io::Error)> {
    let Some(Noted { config, lines }) = noted().take() else { return Ok(()) };
    if lines.is_empty() {
        return Ok(());
    }
    write_lines(&config, &lines).map_err(|error| (config, error))
}

/// Append what a command did.
pub(crate) fn append(config: &HistoryConfig, events: &[Event<'_>]) -> io::Result<()> {
    let lines: String = events.iter().map(Event::line).collect();
    if lines.is_empty() { Ok(()) } else { write_lines(config, &lines) }
}

fn write_lines(config: &HistoryConfig, lines: &str) -> io::Result<()> {
    let mut file = RotatedFile::new(config.file.clone(), config.most_bytes);
    match file.append(lines) {
        // On a node whose addresses are in etcd the directory may not be there yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(directory) = config.file.parent() else { return Err(error) };
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            RotatedFile::new(config.file.clone(), config.most_bytes).append(lines)
        }
        written => written,
    }
}
