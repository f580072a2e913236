//! The subject itself: ranges, who holds what, what a policy may propose. Pure: no I/O, no clock, no client.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod address;
pub mod allocation;
pub mod attachment;
pub mod decision;
pub mod proposal;
pub mod range;
pub mod range_set;
pub mod request;
pub mod reservation;
pub mod shown;
pub mod snapshot;
pub mod verdict;
mod words;

pub use addresses::{Family, Misfit, Prefix, Span, SpanError, Unusable, without};
pub use allocation::{Allocation, Ceded, Claim, HandOver, Holder, Party, PolicyName, to_microseconds};
pub use attachment::{Attachment, Metadata, Owner, Pod, PodName};
pub use decision::{Decision, Shadowed, Told, VerdictOrFault};
pub use proposal::{Assignment, HoldTerms, Kind, Proposal, Slot, Why};
pub use range::{Gateway, Range, RangeError, RangeSpec};
pub use range_set::{RangeSet, RangeSets};
pub use request::Request;
pub use reservation::Reservation;
pub use snapshot::{Question, SlotsWanted, Snapshot, Usage};
pub use verdict::{Refusal, Verdict};
