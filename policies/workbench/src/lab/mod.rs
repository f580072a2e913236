//! Where a policy is tried without a cluster: a world in memory with a clock of its own. What happens in it is what
//! happens in production, because it walks the very path of an ADD, over a store that keeps the same contract.
//!
//! | room | what it does with worlds |
//! |---|---|
//! | [`world`] | makes one, and lets pods come and go in it; its first page has the drawing |
//! | [`races`] | lets several pods ask at once, or one pod ask without claiming anything |
//! | [`case`] | plays a situation that an author wrote down, and compares what comes of it |
//! | [`check`] | makes up worlds until one of them breaks a property of every good policy |
//! | [`simulate`] | plays years of pods starting and ending, and sums them up |
//! | [`measure`] | fills a world to a level, and tells what a decision and a whole process cost there |

pub mod case;
pub mod check;
pub mod measure;
pub mod network;
pub mod races;
mod requester;
pub mod simulate;
pub mod world;

pub use network::TrialNetwork;
pub use races::Proposed;
pub use requester::TrialRequester;
pub use world::{Mishap, TrialOutcome, World};
