//! What becomes of each address, for people and for programs: neighbours of which the same is to be said are one row.

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::cli::network::Opened;
use crate::cli::output;
use crate::verbs::add::hand_over::name_of;
use ipam::address::successor;
use ipam::{Allocation, Span};
use store::{Outlook, PlannedReservation, StandingHold};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ReserveRow {
    #[serde(serialize_with = "as_text")]
    pub(super) addresses: Span,
    pub(super) outcome: ReserveOutcome,
    pub(super) reason: String,
    /// Who has the address instead, or what ends with the reservation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ReserveOutcome {
    /// It could be done, and has not been so far.
    Found,
    Reserved,
    /// It was reserved before, and stays as it was.
    Already,
    /// Somebody holds it, and keeps it.
    Held,
    /// It is on hold for an identity, and `--force` was not said.
    OnHold,
    /// Another process changed it after it was read.
    Changed,
    /// It lies outside of the network's subnets.
    Outside,
    /// It could be put back in circulation, and has not been so far.
    Ending,
    /// It is back in circulation.
    Ended,
}

impl ReserveOutcome {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Found => "would be reserved",
            Self::Reserved => "reserved",
            Self::Already => "reserved already",
            Self::Held => "not reserved: held",
            Self::OnHold => "not reserved: on hold",
            Self::Changed => "skipped: changed meanwhile",
            Self::Outside => "outside the network's subnets",
            Self::Ending => "would be back in circulation",
            Self::Ended => "back in circulation",
        }
    }
}

impl ReserveRow {
    pub(super) fn of_plan(planned: &PlannedReservation, opened: &Opened, ends_holds: bool, done: Option<bool>) -> Self {
        let mut outcome = match done {
            None => ReserveOutcome::Found,
            Some(true) => ReserveOutcome::Reserved,
            Some(false) => ReserveOutcome::Changed,
        };
        let mut reason = planned.reservation.reason.clone();
        let mut detail = String::new();
        match &planned.outlook {
            Outlook::Free => {}
            Outlook::CoolingDown(until) => detail = format!("ends its cool-down, which lasts until {until:.0}"),
            Outlook::OnHold { identity, until } if ends_holds => {
                detail = format!("ends its hold for {identity:?} until {until:.0}");
            }
            Outlook::OnHold { identity, until } => {
                outcome = ReserveOutcome::OnHold;
                detail = format!("on hold for {identity:?} until {until:.0}; --force reserves it");
            }
            Outlook::Renewed(former) => detail = format!("so far: {}", former.reason),
            Outlook::Reserved(former) => {
                outcome = ReserveOutcome::Already;
                detail = former.to_string();
                reason.clone_from(&former.reason);
            }
            Outlook::Held(held) => {
                outcome = ReserveOutcome::Held;
                detail = holder(held, opened);
            }
        }
        Self { addresses: Span::single(planned.address), outcome, reason, detail }
    }

    /// A reservation that ends. `by_list`: because the list that it belongs to no longer has it.
    pub(super) fn of_end(standing: &StandingHold, by_list: bool, done: Option<bool>) -> Self {
        let hold = standing.hold();
        let outcome = match done {
            None => ReserveOutcome::Ending,
            Some(true) => ReserveOutcome::Ended,
            Some(false) => ReserveOutcome::Changed,
        };
        let reason = hold.reservation.as_ref().map(|reservation| reservation.reason.clone()).unwrap_or_default();
        let why = if by_list { "no longer listed; " } else { "" };
        Self { addresses: Span::single(hold.address), outcome, reason, detail: format!("{why}{hold}") }
    }

    pub(super) fn outside(span: Span) -> Self {
        Self { addresses: span, outcome: ReserveOutcome::Outside, reason: String::new(), detail: String::new() }
    }

    fn says_the_same_as(&self, other: &Self) -> bool {
        (self.outcome, &self.reason, &self.detail) == (other.outcome, &other.reason, &other.detail)
    }
}

/// One row for neighbours, each of which has a row that says the same.
pub(super) fn grouped(rows: Vec<ReserveRow>) -> Vec<ReserveRow> {
    let mut grouped: Vec<ReserveRow> = Vec::new();
    for row in rows {
        let next: IpAddr = row.addresses.first();
        if let Some(last) = grouped.last_mut()
            && successor(last.addresses.last()) == Some(next)
            && last.says_the_same_as(&row)
            && let Some(joined) = Span::new(last.addresses.first(), next)
        {
            last.addresses = joined;
        } else {
            grouped.push(row);
        }
    }
    grouped
}

pub(super) fn table(rows: &[ReserveRow]) -> String {
    output::table(&["ADDRESSES", "OUTCOME", "REASON", "DETAIL"], rows.iter().map(cells))
}

fn cells(row: &ReserveRow) -> Vec<String> {
    vec![row.addresses.to_string(), row.outcome.words().to_owned(), row.reason.clone(), row.detail.clone()]
}

fn holder(held: &Allocation, opened: &Opened) -> String {
    let Allocation { node, since, address, .. } = held;
    let release = opened.command(&format!("release {address}"));
    let holder = name_of(&held.party());
    format!("held by {holder} on node {node} since {since:.0}; delete it, or `{release}` if it is gone")
}

fn as_text<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(span)
}
