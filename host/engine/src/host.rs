//! What a guest may ask: the imports of the world, answered from the snapshot. A question the snapshot cannot answer
//! ends the run.

use std::fmt;
use std::net::IpAddr;

use super::bindings::kube_ipam::policy::{log, pool, types};
use super::convert::{address, address_from, holder, span_from, usage};
use super::sandbox::{Sandbox, Stop};
use ipam::shown::first_of;
use ipam::{Holder, Question, SlotsWanted};
use limits::IDENTITY;
use limits::store::TAKEN_SLOTS;
use wasmtime::Result;

/// How many of a list are told to people.
const LISTED: usize = 8;

impl types::Host for Sandbox {}

impl pool::Host for Sandbox {
    fn next_free(&mut self, range_set: u32, after: Option<types::IpAddress>) -> Result<Option<types::IpAddress>> {
        let index = self.range_set(range_set)?;
        let after = after.map(address_from);
        let free = self.snapshot()?.next_free(index, after).map_err(unread)?;
        let behind = || after.map(|after| format!(" after {after}")).unwrap_or_default();
        self.heard(|| format!("the next free address of range set {range_set}{}", behind()), || or_none(free));
        Ok(free.map(address))
    }

    fn next_free_within(&mut self, span: types::IpSpan) -> Result<Option<types::IpAddress>> {
        self.count_call()?;
        let ends = (address_from(span.first), address_from(span.last));
        let span = span_from(span).ok_or_else(|| {
            Stop::Question(format!("next-free-within {} to {}: these are not in order", ends.0, ends.1))
        })?;
        let free = self.snapshot()?.next_free_within(span).map_err(unread)?;
        self.heard(|| format!("the next free address within {span}"), || or_none(free));
        Ok(free.map(address))
    }

    fn holder_of(&mut self, address: types::IpAddress) -> Result<Option<types::Holder>> {
        self.count_call()?;
        let address = address_from(address);
        let found = self.snapshot()?.holder_of(address).map_err(unread)?;
        let (told, who) = (found.map(holder), found.map(describe));
        self.heard(|| format!("who holds {address}"), || who.unwrap_or_else(|| "nobody".to_owned()));
        Ok(told)
    }

    fn last_claimed(&mut self, range_set: u32) -> Result<Option<types::IpAddress>> {
        let index = self.range_set(range_set)?;
        let last = self.snapshot()?.last_claimed(index);
        self.heard(|| format!("the address of range set {range_set} that was claimed last"), || or_none(last));
        Ok(last.map(address))
    }

    fn usage(&mut self, range_set: u32) -> Result<types::Usage> {
        let index = self.range_set(range_set)?;
        let found = self.snapshot()?.usage(index).map_err(unread)?.ok_or_else(|| no_such_set(range_set))?;
        let answer = || format!("{} of {}", found.held, found.size);
        self.heard(|| format!("how many addresses of range set {range_set} are held"), answer);
        Ok(usage(found))
    }

    fn held_for(&mut self, identity: String) -> Result<Vec<types::IpAddress>> {
        self.count_call()?;
        if identity.len() as u64 > IDENTITY.default {
            return Err(Stop::Limit(&IDENTITY, IDENTITY.default).into());
        }
        let held = self.snapshot()?.held_for(&identity).map_err(unread)?.to_vec();
        self.heard(|| format!("which addresses are on hold for {identity:?}"), || listed(&held));
        Ok(held.into_iter().map(address).collect())
    }

    fn taken_slots(&mut self, name: String) -> Result<Vec<u32>> {
        self.count_call()?;
        if name.len() as u64 > IDENTITY.default {
            return Err(Stop::Limit(&IDENTITY, IDENTITY.default).into());
        }
        let taken = self.snapshot()?.taken_slots(&name).map_err(unread)?.to_vec();
        self.heard(|| format!("which slots of {name:?} are taken"), || listed(&taken));
        Ok(taken)
    }

    fn free_slots(&mut self, name: String, limit: u32, near: u32, count: u32) -> Result<Option<Vec<u32>>> {
        self.count_call()?;
        if name.len() as u64 > IDENTITY.default {
            return Err(Stop::Limit(&IDENTITY, IDENTITY.default).into());
        }
        // Of a longer list the store does not tell all.
        let limit = limit.min(u32::try_from(TAKEN_SLOTS).unwrap_or(u32::MAX));
        let question = format!("which {count} slots of {name:?} below {limit} are free");
        let wanted = SlotsWanted { name, limit, near, count };
        let free = self.snapshot()?.free_slots(wanted).map_err(unread)?;
        self.heard(|| question, || free.as_ref().map_or_else(|| "more are taken".to_owned(), |free| listed(free)));
        Ok(free)
    }
}

impl log::Host for Sandbox {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        self.count_call()?;
        let level = match level {
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        Ok(self.keep_line(level, &message)?)
    }
}

impl Sandbox {
    fn range_set(&mut self, index: u32) -> std::result::Result<usize, Stop> {
        self.count_call()?;
        let known = self.snapshot()?.range_sets().len();
        usize::try_from(index).ok().filter(|&index| index < known).ok_or_else(|| no_such_set(index))
    }
}

fn or_none(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "none".to_owned(), |address| address.to_string())
}

fn listed<T: fmt::Display>(all: &[T]) -> String {
    if all.is_empty() { "none".to_owned() } else { first_of(all, LISTED, ", ", ToString::to_string) }
}

/// A holder, in words.
fn describe(holder: &Holder) -> String {
    match holder {
        Holder::Attachment(held) => match &held.pod {
            Some(pod) => format!("pod {pod}, {}", held.attachment),
            None => held.attachment.to_string(),
        },
        Holder::Hold { identity, until } => format!("nobody; it is on hold for {identity:?} until {until:.0}"),
        Holder::Reservation(reservation) => format!("nobody; it is {reservation}"),
    }
}

fn no_such_set(index: u32) -> Stop {
    Stop::Question(format!("there is no range set {index}"))
}

fn unread(question: Question) -> Stop {
    Stop::Unread(question)
}
