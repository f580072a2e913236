//! What one row says: the cells of the tables, and the same for programs.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::wanted::RowKind;
use crate::cli::output::or_dash;
use crate::verbs::add::hand_over::name_of;
use ipam::{Allocation, Party, Reservation};
use store::{AddressRecord, Hold};

pub(super) const NARROW: [&str; 9] =
    ["ADDRESS", "KIND", "POD", "CONTAINER", "INTERFACE", "NETWORK", "NODE", "POLICY", "AGE"];

/// All that is known, each in a column of its own. The names serve CSV, too.
pub(super) const WIDE: [&str; 20] = [
    "ADDRESS",
    "KIND",
    "NAMESPACE",
    "POD",
    "UID",
    "CLUSTER",
    "CONTAINER",
    "INTERFACE",
    "NETWORK",
    "NODE",
    "MACHINE",
    "POLICY",
    "SHA256",
    "SLOT",
    "SINCE",
    "IDENTITY",
    "UNTIL",
    "CEDED-BY",
    "RESERVED-BY",
    "REASON",
];

/// A row for programs: an allocation as the store has it, or what is on hold in the same manner.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::cli) enum RowJson<'a> {
    Allocation(&'a Allocation),
    Hold {
        address: IpAddr,
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        identity: Option<&'a str>,
        until: Timestamp,
    },
    Reservation {
        address: IpAddr,
        kind: &'static str,
        #[serde(flatten)]
        reservation: &'a Reservation,
    },
}

impl<'a> From<&'a AddressRecord> for RowJson<'a> {
    fn from(record: &'a AddressRecord) -> Self {
        match record {
            AddressRecord::Allocation(held) => Self::Allocation(held),
            AddressRecord::Hold(hold) => {
                let (address, kind) = (hold.address, RowKind::of(record).name());
                match &hold.reservation {
                    Some(reservation) => Self::Reservation { address, kind, reservation },
                    None => Self::Hold { address, kind, identity: hold.identity.as_deref(), until: hold.until },
                }
            }
        }
    }
}

pub(super) fn narrow(record: &AddressRecord, now: Timestamp) -> Vec<String> {
    let kind = RowKind::of(record).name();
    match record {
        AddressRecord::Allocation(held) => vec![
            held.address.to_string(),
            of_holder(held, kind),
            or_dash(held.pod.as_ref()),
            held.attachment.container.chars().take(13).collect(),
            held.attachment.interface.clone(),
            held.attachment.network.clone(),
            held.node.clone(),
            or_dash(held.policy.as_ref()),
            age(now, held.since),
        ],
        AddressRecord::Hold(hold) => {
            let mut cells = vec![hold.address.to_string(), of_hold(hold, kind, now)];
            cells.resize(NARROW.len(), "-".to_owned());
            cells
        }
    }
}

fn of_hold(hold: &Hold, kind: &str, now: Timestamp) -> String {
    match hold {
        Hold { reservation: Some(reservation), .. } => format!("{kind}: {}", reservation.reason),
        Hold { identity: Some(identity), until, .. } => format!("{kind} for {identity:?}, {} left", age(*until, now)),
        Hold { until, .. } => format!("{kind}, {} left", age(*until, now)),
    }
}

/// Who ceded the address still uses it and gets it back, so that it is shown.
fn of_holder(held: &Allocation, kind: &str) -> String {
    match held.former.as_deref() {
        None => kind.to_owned(),
        Some(Party { pod: Some(pod), .. }) => format!("{kind}, ceded by {pod}"),
        Some(Party { attachment, .. }) => format!("{kind}, ceded by {}", attachment.container),
    }
}

pub(super) fn wide(record: &AddressRecord) -> Vec<Option<String>> {
    let mut cells = vec![None; WIDE.len()];
    cells[0] = Some(record.address().to_string());
    cells[1] = Some(RowKind::of(record).name().to_owned());
    match record {
        AddressRecord::Allocation(held) => {
            if let Some(pod) = &held.pod {
                cells[2] = Some(pod.namespace.clone());
                cells[3] = Some(pod.name.clone());
                cells[4] = pod.uid.clone();
                cells[5] = pod.cluster.clone();
            }
            cells[6] = Some(held.attachment.container.clone());
            cells[7] = Some(held.attachment.interface.clone());
            cells[8] = Some(held.attachment.network.clone());
            cells[9] = Some(held.node.clone());
            cells[10] = Some(held.machine.clone()).filter(|machine| !machine.is_empty());
            cells[11] = held.policy.as_ref().map(ToString::to_string);
            cells[12] = held.policy.as_ref().map(|policy| policy.sha256.clone());
            cells[13] = held.slot.as_ref().map(|slot| format!("{} {}", slot.name, slot.number));
            cells[14] = Some(held.since.to_string());
            cells[15] = held.hold.as_ref().map(|hold| hold.identity.clone());
            cells[17] = held.former.as_deref().map(name_of);
        }
        AddressRecord::Hold(Hold { reservation: Some(reservation), .. }) => {
            cells[14] = Some(reservation.since.to_string());
            cells[18] = Some(reservation.by.clone());
            cells[19] = Some(reservation.reason.clone());
        }
        AddressRecord::Hold(hold) => {
            cells[15] = hold.identity.clone();
            cells[16] = Some(hold.until.to_string());
        }
    }
    cells
}

/// An age in the largest unit of which there are at least two, as kubectl shows it.
fn age(now: Timestamp, since: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short_and_never_negative() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(age(at(100), at(41)), "59s");
        assert_eq!(age(at(10_000), at(0)), "2h");
        assert_eq!(age(at(7_000), at(0)), "116m");
        assert_eq!(age(at(864_000), at(0)), "10d");
        assert_eq!(age(at(0), at(100)), "0s", "a clock that was set back");
    }
}
