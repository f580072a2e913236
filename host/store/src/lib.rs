//! Allocations at rest: who holds which address, on one node or on a thousand.
//!
//! ```text
//!   Store             claims, releases, holds, lists      written once; its documentation is the contract
//!     │
//!   OrderedMap        ordered keys, one-shot transactions  all that a store implements
//!   ├── embedded      LMDB in a directory: one node
//!   ├── etcd          one cluster
//!   └── memory        this process: policies are tried on it
//! ```
//!
//! Three things happen here, and each is a page of its own:
//!
//! ```text
//!   ADD    look_up ───► Look { snapshot, evidence } ───► claim       `look.rs`, `evidence.rs`, `claim.rs`
//!            └── Lost: somebody was faster, look again ◄──┘
//!   DEL    release      one read, one write                          `release.rs`
//!   at rest             keys, records, indexes                       `keys.rs` draws them, `record.rs` checks them
//! ```
//!
//! There is no lock and no lease: a claim is one compare-and-create, and whoever loses it looks again. Nothing has to be
//! running for that, no daemon, no leader of ours, no renewal: between two calls of the plugin an allocation is a record and
//! nothing else. A process that is killed has written everything or nothing, and is in nobody's way either time.
//!
//! Indexes are redundant on purpose. Each verb finds what it needs by one key or one short range, and pays for that with some
//! more writes in the same transaction; that they agree can be proven at any time (`inspect.rs`), and repaired (`repair`).
//!
//! `conformance` is this contract as tests, run over every implementation.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod keys;
pub mod ordered;
mod record;

mod batch;
mod claim;
mod config;
mod cursors;
mod drafts;
mod evidence;
mod export;
mod fullness;
mod hold;
mod import;
mod inspect;
mod list;
mod look;
mod machines;
mod map;
mod marks;
mod moment;
mod moved;
mod moves;
mod names;
mod nearby;
mod occupancy;
mod other;
mod pages;
mod reading;
mod reclaim;
mod registry;
mod release;
mod repair;
mod reservations;
mod restore;
mod search;
mod slots;
mod standing_hold;
mod together;

pub mod embedded;
pub mod etcd;
pub mod memory;

#[cfg(test)]
mod conformance;

use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

pub use claim::Claimed;
pub use config::{ClientCertificate, EtcdConfig, StoreConfig, User};
pub use error::StoreError;
pub use etcd::check_credentials;
pub use export::{Export, ExportError, Exported};
pub use fullness::Fullness;
pub use import::{Booking, Import, Imported, predecessors_keys};
pub use inspect::Disagreement;
pub use list::{AddressListing, AddressRecord, AddressRecords, RecordFilter};
pub use list::{AllocationFilter, AllocationListing, Allocations};
pub use look::{Look, Requester};
pub use machines::{StrayClaims, Strays};
pub use map::{Map, MapView};
pub use moved::Moved;
pub use moves::{Arrival, Move, MoveOutcome, Moves};
pub use occupancy::{Occupancy, Taken};
pub use pages::Progress;
pub use reclaim::StandingClaim;
pub use record::Hold;
pub use registry::{Registered, Registration};
pub use repair::{InUse, Repair, Repaired};
pub use reservations::{Outlook, PlannedReservation, Reservations};
pub use restore::{Occupant, Restoration, Rival};
pub use search::Search;
pub use standing_hold::StandingHold;

use batch::{Answers, Batch};
use ipam::{Attachment, Claim, Holder};
use keys::Keys;
use ordered::OrderedMap;
use reading::Reading;

/// The allocations of one domain, the scope inside which an address is unique.
///
/// The contract, whatever is underneath:
/// - **An address has at most one holder per domain**, whichever networks share the domain and however many
///   processes on however many nodes ask at once.
/// - **A claim is all or nothing**, and its indexes change with it.
/// - **An attachment claims once.** A second claim returns what it already holds.
/// - **A newer attachment replaces the older one** of the same pod, interface and network: it may take over any of
///   its addresses, and the same transaction releases the rest.
/// - **A release is fenced by its attachment and by the record it saw.** It never frees what somebody else holds by
///   now; a release of nothing is success.
/// - **An address on hold** goes to nobody but its identity until its time is over.
/// - **A reserved address** goes to nobody. A reservation takes no address from its holder, and ends by an operator's
///   word alone.
/// - **One damaged record** is an error for the call that needs it, and disturbs no other.
pub struct Store {
    /// Other domains of the same map share it.
    map: Rc<Map>,
    keys: Keys,
    cooldown: Option<Duration>,
    /// Whether claims register their network, and whether somebody chose its domain.
    registers: Option<bool>,
    /// A directory of this node for where cursors were, where a read is worth that.
    notes: Option<PathBuf>,
    /// Who is told how many entries were read.
    progress: Option<Progress>,
}

impl Store {
    /// The allocations of `domain` in this map, under keys that begin with `prefix`.
    pub fn new(map: impl Into<Map>, prefix: &str, domain: &str) -> Self {
        let map = Rc::new(map.into());
        Self { map, keys: Keys::new(prefix, domain), cooldown: None, registers: None, notes: None, progress: None }
    }

    /// Keep released dynamic addresses from everybody for so long: stale ARP, conntrack and DNS die out meanwhile.
    /// Fixed addresses do not cool down; their pod wants them back at once.
    pub fn with_cooldown(mut self, cooldown: Option<Duration>) -> Self {
        self.cooldown = cooldown;
        self
    }

    /// Remember in this directory of the node where cursors are: an ADD makes one read less then, as a rule. For maps that
    /// are far away.
    #[must_use]
    pub fn noting_in(mut self, directory: Option<PathBuf>) -> Self {
        self.notes = directory;
        self
    }

    /// The same allocations, for a look at what would become of a claim: whatever is committed is judged as it would be, and not
    /// written. Nor is anything noted on the node.
    #[must_use]
    pub fn rehearsing(&self) -> Self {
        let map = Rc::new(Map::Rehearsing(self.map.clone()));
        let (keys, progress) = (self.keys.clone(), self.progress.clone());
        Self { map, keys, cooldown: self.cooldown, registers: self.registers, notes: None, progress }
    }

    /// Another domain or prefix of the same map. Claims do not register their network there.
    fn with_keys(&self, keys: Keys) -> Self {
        let (map, progress) = (self.map.clone(), self.progress.clone());
        Self { map, keys, cooldown: self.cooldown, registers: None, notes: None, progress }
    }

    /// The map underneath, for what only one kind of it can tell.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// What an attachment holds. One read.
    pub async fn held_by(&self, attachment: &Attachment) -> Result<Option<Claim>, StoreError> {
        let mut batch = self.batch();
        let claim = batch.claim(attachment);
        Ok(self.read_now(batch).await?.record(claim)?.map(|seen| seen.record))
    }

    /// Who holds each of these addresses, or why nobody gets it: a hold, a reservation. One read.
    pub async fn holders(&self, addresses: &[IpAddr], now: Timestamp) -> Result<Vec<Option<Holder>>, StoreError> {
        let mut batch = self.batch();
        let tickets: Vec<_> = addresses.iter().map(|address| batch.address(*address)).collect();
        let mut answers = self.read_now(batch).await?;
        tickets.into_iter().map(|ticket| Ok(answers.address(ticket)?.holder(now))).collect()
    }

    /// Whether a claim could be written now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.map.ping(&self.keys.everything().from).await
    }

    /// Whether an attachment could claim and release now: everything the writes of an ADD need is tried, and nothing is
    /// written that stays.
    pub async fn rehearse(&self) -> Result<(), StoreError> {
        self.map.rehearse(&self.keys.rehearsal()).await
    }

    fn batch(&self) -> Batch {
        Batch::new(&self.keys)
    }

    /// One read of the moment that is now. A batch that asks for nothing does not even take a view.
    async fn read_now(&self, batch: Batch) -> Result<Answers, StoreError> {
        if batch.is_empty() {
            return Ok(Answers::none(&self.keys));
        }
        batch.read(&mut self.map.view().await?).await
    }

    async fn reading(&self, now: Timestamp) -> Result<Reading, StoreError> {
        Ok(Reading::new(self.map.view().await?, self.keys.clone(), now))
    }
}
