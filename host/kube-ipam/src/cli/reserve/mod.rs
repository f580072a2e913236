//! `kube-ipam reserve` and `unreserve`: addresses that an operator takes out of circulation, for every node at once, and puts
//! back.
//!
//! An address that is held is not reserved: its holder keeps it, and is named. What is on hold for an identity is reserved
//! only with `--force`, because somebody may come back for it; a cool-down protects nobody who could miss the address.

mod error;
mod list;
mod options;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::agree::agreed_to;
use super::network::{NetworkArgs, Opened};
use super::operator::Act;
use super::output::{CommandError, Done, Format, Output};
use crate::journal::history::What;
use crate::runtime;
use error::ReserveError;
use ipam::{RangeSets, Reservation, Span, without};
use limits::store::RESERVED_AT_ONCE;
use list::{ListEntry, read_list};
use row::{ReserveOutcome, ReserveRow, grouped, table};
use store::{PlannedReservation, Reservations, StandingHold};

pub(crate) use options::{ReserveOptions, UnreserveOptions};

/// What a command found, and what has become of it.
struct Found {
    planned: Vec<PlannedReservation>,
    /// Reservations of the list that it no longer has.
    ended: Vec<StandingHold>,
    /// Whatever has been carried out: by address, whether it was done. Empty where nothing was.
    done: BTreeMap<IpAddr, bool>,
}

/// The exit code is 0 where all that was asked for is reserved, or would be. Each network reserves what lies in its subnets.
pub(crate) fn reserve(options: &ReserveOptions, network: &NetworkArgs, format: Format) -> Done {
    let entries = match &options.from {
        Some(file) => read_list(file)?,
        None => options.what.iter().map(|span| ListEntry { span: *span, reason: None }).collect(),
    };
    let networks = network.write_each()?;
    let mut outside: Vec<Span> = entries.iter().map(|entry| entry.span).collect();
    for opened in &networks {
        outside = without(outside, subnets(&opened.range_sets()?));
    }
    let mut rows = Vec::new();
    for opened in networks {
        let wanted = wanted(&entries, options, &opened)?;
        let found = runtime::block_on(run_reserve(options, &opened, &wanted))?;
        let of_network = rows_of(options, &opened, &found);
        note(options.act().begin(&opened), &of_network);
        rows.extend(of_network);
    }
    rows.extend(outside.into_iter().map(ReserveRow::outside));
    // A list may be of a whole site, so that what lies elsewhere in it is nothing to complain about.
    let exit = u8::from(rows.iter().any(|row| match row.outcome {
        ReserveOutcome::Outside => options.from.is_none(),
        ReserveOutcome::Found | ReserveOutcome::Ending => !options.dry_run,
        ReserveOutcome::Held | ReserveOutcome::OnHold | ReserveOutcome::Changed => true,
        ReserveOutcome::Reserved | ReserveOutcome::Already | ReserveOutcome::Ended => false,
    }));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&rows)?,
        Format::Table => format!("{}\n{}", table(&rows), conclusion(&rows, !options.dry_run)),
    };
    Ok(Output { text, exit })
}

/// Looks at the addresses, shows the plan, asks, and reserves.
async fn run_reserve(
    options: &ReserveOptions,
    opened: &Opened,
    wanted: &BTreeMap<IpAddr, Reservation>,
) -> Result<Found, CommandError> {
    let store = &opened.store;
    let planned = store.plan_reservations(wanted, options.force, Timestamp::now());
    let planned = planned.await.map_err(ReserveError::from)?;
    let mut ended = Vec::new();
    if let Some(list) = options.list_name() {
        ended = of_list(store.reservations(), &list).await?;
        // Other networks of the domain reserve from the same list what lies in their subnets.
        let subnets = subnets(&opened.range_sets()?);
        ended.retain(|standing| {
            let address = standing.hold().address;
            !wanted.contains_key(&address) && subnets.iter().any(|subnet| subnet.contains(address))
        });
    }
    let mut found = Found { planned, ended, done: BTreeMap::new() };
    let is_needed = !found.ended.is_empty() || found.planned.iter().any(PlannedReservation::is_needed);
    if !is_needed || options.dry_run {
        return Ok(found);
    }
    let rows = rows_of(options, opened, &found);
    if !options.yes && !agreed_to(&format!("{}\n{}", table(&rows), conclusion(&rows, false))) {
        return Ok(found);
    }
    found.done.extend(store.reserve(&found.planned).await.map_err(ReserveError::from)?);
    let ended = store.end_holds(&found.ended).await.map_err(ReserveError::from)?;
    for (standing, ended) in found.ended.iter().zip(ended) {
        found.done.insert(standing.hold().address, ended);
    }
    let count = found.done.values().filter(|done| **done).count();
    tracing::info!(count, "reservations changed by hand");
    Ok(found)
}

/// The reservations of a list. Of all others nothing is kept in memory.
async fn of_list(mut reservations: Reservations<'_>, list: &str) -> Result<Vec<StandingHold>, ReserveError> {
    let mut found = Vec::new();
    while let Some(page) = reservations.next().await? {
        let is_listed = |standing: &StandingHold| {
            standing.hold().reservation.as_ref().is_some_and(|reservation| reservation.list.as_deref() == Some(list))
        };
        found.extend(page.into_iter().filter(is_listed));
        if found.len() > RESERVED_AT_ONCE {
            return Err(ReserveError::TooMany { count: found.len() as u128 });
        }
    }
    Ok(found)
}

/// What is to be reserved in a network's subnets.
fn wanted(
    entries: &[ListEntry],
    options: &ReserveOptions,
    opened: &Opened,
) -> Result<BTreeMap<IpAddr, Reservation>, CommandError> {
    let subnets = subnets(&opened.range_sets()?);
    let list = options.list_name();
    let (by, since) = (options.act().by(&opened.base.node), Timestamp::now());
    let mut wanted = BTreeMap::new();
    for ListEntry { span, reason } in entries {
        let reason = match (reason, &options.reason, &list) {
            (Some(reason), _, _) | (None, Some(reason), _) => reason.clone(),
            (None, None, list) => format!("listed in {}", list.as_deref().unwrap_or_default()),
        };
        for subnet in &subnets {
            let Some(inside) = span.intersection(subnet) else { continue };
            // Counted before one is made: all of an IPv6 subnet would fill the memory.
            let count = inside.size().saturating_add(wanted.len() as u128);
            if count > RESERVED_AT_ONCE as u128 {
                return Err(ReserveError::TooMany { count }.into());
            }
            for address in (0..inside.size()).filter_map(|position| inside.nth(position)) {
                let reservation = Reservation { reason: reason.clone(), by: by.clone(), since, list: list.clone() };
                wanted.insert(address, reservation);
            }
        }
    }
    Ok(wanted)
}

fn subnets(range_sets: &RangeSets) -> BTreeSet<Span> {
    range_sets.iter().flat_map(|set| set.ranges()).map(|range| range.subnet().span()).collect()
}

/// A row for each run of neighbours with the same outcome.
fn rows_of(options: &ReserveOptions, opened: &Opened, found: &Found) -> Vec<ReserveRow> {
    let mut rows = Vec::new();
    for planned in &found.planned {
        let done = found.done.get(&planned.address).copied();
        rows.push(ReserveRow::of_plan(planned, opened, options.force, done));
    }
    for standing in &found.ended {
        rows.push(ReserveRow::of_end(standing, true, found.done.get(&standing.hold().address).copied()));
    }
    grouped(rows)
}

/// Tells the history what was carried out.
fn note(mut act: Act<'_>, rows: &[ReserveRow]) {
    for row in rows {
        let what = match row.outcome {
            ReserveOutcome::Reserved => What::Reserved,
            ReserveOutcome::Ended => What::Unreserved,
            _ => continue,
        };
        act.on_addresses(what, vec![row.addresses.to_string()], Some(&row.reason));
    }
}

/// How many addresses have which outcome.
fn conclusion(rows: &[ReserveRow], may_ask: bool) -> String {
    let mut counts: BTreeMap<ReserveOutcome, u128> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.outcome).or_default() += row.addresses.size();
    }
    let counts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {}", outcome.words())).collect();
    let is_open = rows.iter().any(|row| matches!(row.outcome, ReserveOutcome::Found | ReserveOutcome::Ending));
    let hint = if is_open && may_ask { "; --yes carries it out" } else { "" };
    counts.join(", ") + hint
}

/// The exit code is 0 where everything that was found is back in circulation, or would be.
pub(crate) fn unreserve(options: &UnreserveOptions, network: &NetworkArgs, format: Format) -> Done {
    let mut rows = Vec::new();
    for opened in network.write_books()? {
        let (found, done) = runtime::block_on(run_unreserve(options, &opened))?;
        let of_book = ended_rows(&found, &done);
        note(options.act.begin(&opened), &of_book);
        rows.extend(of_book);
    }
    let aim = if options.dry_run { ReserveOutcome::Ending } else { ReserveOutcome::Ended };
    let exit = u8::from(rows.is_empty() || rows.iter().any(|row| row.outcome != aim));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&rows)?,
        Format::Table if rows.is_empty() => format!("nothing is reserved {}", options.place()),
        Format::Table => format!("{}\n{}", table(&rows), conclusion(&rows, !options.dry_run)),
    };
    Ok(Output { text, exit })
}

async fn run_unreserve(
    options: &UnreserveOptions,
    opened: &Opened,
) -> Result<(Vec<StandingHold>, Vec<bool>), CommandError> {
    let store = &opened.store;
    let mut found = Vec::new();
    if let Some(list) = &options.list {
        found = of_list(store.reservations(), list).await?;
    }
    for span in &options.what {
        let reservations = store.reservations_in(*span).first(RESERVED_AT_ONCE + 1).await;
        found.extend(reservations.map_err(ReserveError::from)?);
        if found.len() > RESERVED_AT_ONCE {
            return Err(ReserveError::TooMany { count: found.len() as u128 }.into());
        }
    }
    let mut done = Vec::new();
    if found.is_empty() || options.dry_run {
        return Ok((found, done));
    }
    let rows = ended_rows(&found, &[]);
    if options.yes || agreed_to(&format!("{}\n{}", table(&rows), conclusion(&rows, false))) {
        done = store.end_holds(&found).await.map_err(ReserveError::from)?;
        tracing::info!(count = done.iter().filter(|done| **done).count(), "put back in circulation by hand");
    }
    Ok((found, done))
}

fn ended_rows(found: &[StandingHold], done: &[bool]) -> Vec<ReserveRow> {
    let mut rows = Vec::new();
    for (nth, standing) in found.iter().enumerate() {
        rows.push(ReserveRow::of_end(standing, false, done.get(nth).copied()));
    }
    grouped(rows)
}
