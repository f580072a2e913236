//! What a guest may ask: the imports of the world, answered from the snapshot. A question the snapshot cannot answer
//! ends the run.

use super::bindings::kube_ipam::policy::{log, pool, types};
use super::convert::{address, address_from, holder, span_from, usage};
use super::sandbox::{Sandbox, Stop};
use ipam::{Question, SlotsWanted};
use limits::IDENTITY;
use limits::store::TAKEN_SLOTS;
use wasmtime::Result;

impl types::Host for Sandbox {}

impl pool::Host for Sandbox {
    fn next_free(&mut self, range_set: u32, after: Option<types::IpAddress>) -> Result<Option<types::IpAddress>> {
        let index = self.range_set(range_set)?;
        let free = self.snapshot()?.next_free(index, after.map(address_from)).map_err(unread)?;
        Ok(free.map(address))
    }

    fn next_free_within(&mut self, span: types::IpSpan) -> Result<Option<types::IpAddress>> {
        self.count_call()?;
        let ends = (address_from(span.first), address_from(span.last));
        let span = span_from(span).ok_or_else(|| {
            Stop::Question(format!("next-free-within {} to {}: these are not in order", ends.0, ends.1))
        })?;
        let free = self.snapshot()?.next_free_within(span).map_err(unread)?;
        Ok(free.map(address))
    }

    fn holder_of(&mut self, address: types::IpAddress) -> Result<Option<types::Holder>> {
        self.count_call()?;
        let found = self.snapshot()?.holder_of(address_from(address)).map_err(unread)?;
        Ok(found.map(holder))
    }

    fn last_claimed(&mut self, range_set: u32) -> Result<Option<types::IpAddress>> {
        let index = self.range_set(range_set)?;
        Ok(self.snapshot()?.last_claimed(index).map(address))
    }

    fn usage(&mut self, range_set: u32) -> Result<types::Usage> {
        let index = self.range_set(range_set)?;
        let found = self.snapshot()?.usage(index).map_err(unread)?;
        Ok(usage(found.ok_or_else(|| no_such_set(range_set))?))
    }

    fn held_for(&mut self, identity: String) -> Result<Vec<types::IpAddress>> {
        self.count_call()?;
        if identity.len() as u64 > IDENTITY.default {
            return Err(Stop::Limit(&IDENTITY, IDENTITY.default).into());
        }
        let held = self.snapshot()?.held_for(&identity).map_err(unread)?;
        Ok(held.iter().copied().map(address).collect())
    }

    fn taken_slots(&mut self, name: String) -> Result<Vec<u32>> {
        self.count_call()?;
        if name.len() as u64 > IDENTITY.default {
            return Err(Stop::Limit(&IDENTITY, IDENTITY.default).into());
        }
        Ok(self.snapshot()?.taken_slots(&name).map_err(unread)?.to_vec())
    }

    fn free_slots(&mut self, name: String, limit: u32, near: u32, count: u32) -> Result<Option<Vec<u32>>> {
        self.count_call()?;
        if name.len() as u64 > IDENTITY.default {
            return Err(Stop::Limit(&IDENTITY, IDENTITY.default).into());
        }
        // Of a longer list the store does not tell all.
        let limit = limit.min(u32::try_from(TAKEN_SLOTS).unwrap_or(u32::MAX));
        let wanted = SlotsWanted { name, limit, near, count };
        Ok(self.snapshot()?.free_slots(wanted).map_err(unread)?)
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

fn no_such_set(index: u32) -> Stop {
    Stop::Question(format!("there is no range set {index}"))
}

fn unread(question: Question) -> Stop {
    Stop::Unread(question)
}
