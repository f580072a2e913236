//! The module's side of the policy world: generated bindings, and the way from them to the plain types.
//!
//! Exists on wasm32 alone; [`export!`](crate::export) is its only user.

#[expect(unsafe_code, reason = "generated: the component model's calling convention is raw pointers")]
#[allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "generated")]
pub mod bindings;
mod convert;
#[expect(unsafe_code, reason = "an allocator hands out raw memory")]
mod memory;

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Once;

use bindings::exports::kube_ipam::policy::allocator;
use bindings::kube_ipam::policy::{log as host_log, pool as host_pool};

use crate::address::Span;
use crate::log::Level;
use crate::policy::Policy;
use crate::pool::{Holder, Pool, Usage};
use crate::settings::decode;

/// A policy behind the exported interface.
pub struct Exported<P>(PhantomData<P>);

impl<P: Policy> allocator::Guest for Exported<P> {
    fn describe() -> allocator::Description {
        log_panics();
        convert::description(&P::describe(), P::annotations())
    }

    fn validate_settings(settings: String) -> Result<(), String> {
        log_panics();
        let settings = decode(&settings).map_err(|error| error.to_string())?;
        P::validate_settings(&settings)
    }

    fn allocate(request: allocator::Request, settings: String) -> Result<Vec<allocator::Proposal>, allocator::Refusal> {
        log_panics();
        // The host asked `validate_settings` before; an error here concerns a configuration changed in between.
        let settings = decode(&settings).map_err(|error| allocator::Refusal::Invalid(error.to_string()))?;
        match P::allocate(&request.into(), &settings, &HostPool) {
            Ok(proposals) => Ok(proposals.into_iter().map(convert::proposal).collect()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// On this target a panic is a bare `unreachable`; its text and place would be lost.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let text = panic.payload_as_str().unwrap_or("no message");
            match panic.location() {
                Some(place) => log(Level::Error, &format!("panicked at {}:{}: {text}", place.file(), place.line())),
                None => log(Level::Error, &format!("panicked: {text}")),
            }
        }));
    });
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => host_log::Level::Debug,
        Level::Info => host_log::Level::Info,
        Level::Warn => host_log::Level::Warn,
        Level::Error => host_log::Level::Error,
    };
    host_log::write(level, message);
}

/// The pool as the host answers it.
struct HostPool;

impl Pool for HostPool {
    fn next_free(&self, range_set: usize, after: Option<IpAddr>) -> Option<IpAddr> {
        host_pool::next_free(index(range_set), after.map(Into::into)).map(Into::into)
    }

    fn next_free_within(&self, span: Span) -> Option<IpAddr> {
        host_pool::next_free_within(span.into()).map(Into::into)
    }

    fn holder_of(&self, address: IpAddr) -> Option<Holder> {
        host_pool::holder_of(address.into()).map(Into::into)
    }

    fn last_claimed(&self, range_set: usize) -> Option<IpAddr> {
        host_pool::last_claimed(index(range_set)).map(Into::into)
    }

    fn usage(&self, range_set: usize) -> Usage {
        let host_pool::RangeUsage { size, held } = host_pool::usage(index(range_set));
        Usage { size, held }
    }

    fn held_for(&self, identity: &str) -> Vec<IpAddr> {
        host_pool::held_for(identity).into_iter().map(Into::into).collect()
    }

    fn taken_slots(&self, name: &str) -> Vec<u32> {
        host_pool::taken_slots(name)
    }

    fn free_slots(&self, name: &str, limit: u32, near: u32, count: u32) -> Option<Vec<u32>> {
        host_pool::free_slots(name, limit, near, count)
    }
}

/// No range set has an index this large: the host traps, as for any other that does not exist.
fn index(range_set: usize) -> u32 {
    u32::try_from(range_set).unwrap_or(u32::MAX)
}
