//! The network configuration made trustworthy.
//!
//! ```text
//! stdin ── cni::NetConf ──┬── Base      where the store is, who we are      every verb
//!          (as written)   └── Network   ranges, policy, pod, requests       ADD and STATUS
//! ```
//!
//! Two levels of trust, because DEL, CHECK and GC must work when the ranges were changed, broken or removed since the
//! ADD: [`Base`] never looks at them. What has become a `Base` or a `Network` is not checked again downstream.

pub mod base;
pub mod beside;
pub mod counts;
pub mod dns;
pub mod doubts;
pub mod error;
mod exclude;
mod field;
pub mod file;
mod gateway;
pub mod history;
pub mod kubernetes;
pub mod log;
mod machine;
pub mod network;
pub mod pod;
pub mod policy;
pub mod ranges;
pub mod record;
pub mod requested;
pub mod routes;
mod runtime;
pub mod store;
mod synonyms;
pub mod trust;
pub mod unknown;

#[cfg(test)]
mod tests;

pub use base::Base;
pub use error::Error;
pub use gateway::GatewayUser;
pub use history::HistoryConfig;
pub use kubernetes::{Include, KubernetesConfig};
pub use log::Log;
pub use network::Network;
pub use pod::KnownPod;
pub use policy::{OnFault, PolicyConfig, ShadowConfig};
pub use record::{RecordConfig, Sample};
pub use store::DEFAULT_DATA_DIR;
pub use trust::TrustConfig;
