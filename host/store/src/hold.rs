//! Holds at rest: an address that nobody has and that is on hold, under three keys that change together.
//!
//! What is over is not looked for: the index `expiries` has it in front. Each claim and each release reads the first
//! few of that index and removes them, GC and reclaim the rest, so that the number of holds follows the number of
//! addresses that are really on hold. A reservation is a hold that is never over (`reservations.rs`).

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::keys::Keys;
use super::marks::unmark;
use super::ordered::{Change, Guard, OrderedMap};
use super::record::{Hold, Seen, encode};
use ipam::{Assignment, Kind};
use limits::store::{HOLD, KEY_BYTES};

/// Free an address, or put it on hold where its assignment or the cool-down says so. Its slot is free again either way.
pub(super) fn free(
    keys: &Keys,
    assignment: &Assignment,
    now: Timestamp,
    cooldown: Option<Duration>,
    change: &mut Change,
) {
    let Assignment { address, kind, hold, .. } = assignment;
    change.delete(keys.address(*address));
    unmark(keys, *address, change);
    give_back_slot(keys, assignment, change);
    let (identity, duration) = match hold {
        Some(hold) => (Some(hold.identity.clone()), Duration::from_secs(hold.seconds)),
        None if *kind == Kind::Dynamic => (None, cooldown.unwrap_or_default()),
        None => return,
    };
    // No policy may ask for more than `HOLD`, but a record may: no hold lasts longer.
    let duration = duration.min(HOLD);
    if duration.is_zero() {
        return;
    }
    let until = now.checked_add(duration).unwrap_or(Timestamp::MAX);
    write_hold(keys, &Hold { address: *address, identity, until, reservation: None }, change);
}

/// Free the slot that an address had, if it had one.
pub(super) fn give_back_slot(keys: &Keys, assignment: &Assignment, change: &mut Change) {
    if let Some(slot) = &assignment.slot {
        change.delete(keys.slot(slot));
    }
}

/// Write a hold and its indexes.
pub(super) fn write_hold(keys: &Keys, hold: &Hold, change: &mut Change) {
    if let Some(identity) = &hold.identity {
        let key = keys.identity(identity, hold.address);
        // No policy of ours names such a one, but a record may: better no hold than no release.
        if key.len() > KEY_BYTES {
            return;
        }
        change.put(key, encode(hold));
    }
    change.put(keys.hold(hold.address), encode(hold));
    change.put(keys.expiry(hold.until, hold.address), encode(hold));
}

/// End a hold with its indexes. The guard that it is still this hold is the caller's.
pub(super) fn end_hold(keys: &Keys, hold: &Hold, change: &mut Change) {
    change.delete(keys.hold(hold.address)).delete(keys.expiry(hold.until, hold.address));
    if let Some(identity) = &hold.identity {
        change.delete(keys.identity(identity, hold.address));
    }
}

/// Require that no hold stands in the way of an address: there is none, or one that was seen to be over, which ends.
pub(super) fn clear_hold(keys: &Keys, address: IpAddr, over: Option<&Seen<Hold>>, change: &mut Change) {
    if let Some(over) = over {
        change.require(over.guard_at(keys.hold(address)));
        end_hold(keys, &over.record, change);
    } else {
        change.require(Guard::Absent(keys.hold(address)));
    }
}

/// Remove holds that are over, each only where it is still as it was read: whoever else removes or replaces one of
/// them meanwhile is not in the way of this change, nor this change in theirs.
pub(super) fn sweep(keys: &Keys, expired: &[Seen<Hold>], change: &mut Change) {
    for seen in expired {
        let Hold { address, identity, until, reservation } = &seen.record;
        // One that says that it ends, as somebody's hand may have written it, is a reservation all the same.
        if reservation.is_some() {
            continue;
        }
        change.delete_if(keys.hold(*address), seen.bytes());
        if let Some(identity) = identity {
            change.delete_if(keys.identity(identity, *address), seen.bytes());
        }
        change.delete_if(keys.expiry(*until, *address), seen.bytes());
    }
}

impl Store {
    /// Remove holds that are over, in at most `transactions` of a few each. Returns how many were removed.
    pub async fn remove_expired(&self, now: Timestamp, transactions: u32) -> Result<usize, StoreError> {
        let mut removed = 0;
        for _ in 0..transactions {
            let mut batch = self.batch();
            let expired = batch.expired(now);
            let found = self.read_now(batch).await?.all_readable(expired);
            let mut change = Change::default();
            sweep(&self.keys, &found, &mut change);
            if change.writes().is_empty() {
                break;
            }
            // Whether it wins does not matter: nothing in it is fenced but each hold by itself.
            self.map.commit(&[change]).await?;
            removed += found.len();
        }
        Ok(removed)
    }
}
