//! Write an allocation policy for kube-ipam.
//!
//! A policy is a function from a [`Request`] to proposals or a [`Refusal`]; it may ask the [`Pool`] about the ranges.
//! Implement [`Policy`], put [`export!`] below it, build for `wasm32-unknown-unknown`. In a native test the same
//! function runs on plain values and a [`testing::PoolDouble`].
//!
//! ```
//! use kube_ipam_policy::{Assignment, Description, Policy, Pool, Proposal, Refusal, Request};
//! # use kube_ipam_policy::testing::{self, PoolDouble};
//!
//! /// The lowest free address of every range set.
//! struct Lowest;
//!
//! impl Policy for Lowest {
//!     type Settings = kube_ipam_policy::NoSettings;
//!
//!     fn describe() -> Description {
//!         Description { name: "lowest", version: "1.0.0", summary: "The lowest free address", settings_schema: "" }
//!     }
//!
//!     fn allocate(request: &Request, _: &Self::Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
//!         // One of each range set; more proposals at each attempt, so that a requester that lost a race finds others.
//!         let nth_of_each = |nth| {
//!             let sets = request.range_sets.iter().enumerate();
//!             sets.map(|(index, set)| {
//!                 let address = pool.first_free(index).nth(nth)?;
//!                 Some(Assignment::dynamic(address, set.containing(address)?))
//!             })
//!             .collect::<Option<Proposal>>()
//!         };
//!         let proposals: Vec<Proposal> = (0..4 << request.attempt.min(4)).map_while(nth_of_each).collect();
//!         match proposals.is_empty() {
//!             true => Err(Refusal::Exhausted("no address is free".to_owned())),
//!             false => Ok(proposals),
//!         }
//!     }
//! }
//!
//! kube_ipam_policy::export!(Lowest);
//! # let request = testing::request(&["10.0.0.0/24"]);
//! # let pool = PoolDouble::of(&request.range_sets).holding(["10.0.0.2"]);
//! # let proposals = Lowest::allocate(&request, &Default::default(), &pool).unwrap();
//! # assert_eq!(proposals[0][0].address.to_string(), "10.0.0.3");
//! ```
#![warn(missing_docs)]

pub mod address;
pub mod annotations;
mod appearance;
mod draw;
pub mod log;
mod policy;
mod pool;
mod proposal;
mod range;
mod request;
mod ring;
mod settings;
mod share;
mod slots;
mod spans;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod wish;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;

pub use address::{Family, Prefix, Span};
pub use draw::{Draw, ProposalCount, Strategy, propose};
pub use policy::{Description, Policy};
pub use pool::{AttachmentHolder, Holder, Pool, Usage};
pub use proposal::{Assignment, Hold, Kind, Proposal, Refusal, Slot};
pub use range::{AddressRange, RangeSet, RangeSets, Unusable, list};
pub use request::{Metadata, Owner, Pod, Request};
pub use ring::Ring;
pub use settings::{NoSettings, SettingsError, decode};
pub use share::Share;
pub use slots::{MOST_SLOTS, Slots};
pub use spans::Spans;
pub use wish::{Origin, Wish};

/// Make a module of a [`Policy`]: exports its three functions, decodes the settings and logs a panic with its place.
/// Once per crate, of crate type `cdylib`. Does nothing natively.
#[macro_export]
macro_rules! export {
    ($policy:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::guest::Exported<$policy>;
    $crate::guest::bindings::export!(Exported with_types_in $crate::guest::bindings);
        };
    };
}
