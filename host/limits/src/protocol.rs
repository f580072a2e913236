//! Limits of the protocol and the configuration: code 6 or 7, naming the field.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes of configuration on stdin. A network with every allowed range is a tenth of this; prevResult is what grows.
pub const CONFIGURATION_BYTES: usize = 1 << 20;

/// Bytes of a container ID, network, domain or node name. The store's keys are made of them, and the embedded
/// store's keys may be no longer than about 1900 bytes with four names in one.
pub const NAME_BYTES: usize = 256;

/// Ranges of one network, over all range sets. Every pair is compared for overlap at each ADD.
pub const RANGES: usize = 256;

/// Entries of `exclude`. Each travels to the policy with every range.
pub const EXCLUDED: usize = 1024;

/// Addresses a runtime may ask for in one ADD.
pub const REQUESTED: usize = 64;

/// Endpoints in `etcdURL`. A cluster has three to seven members.
pub const ETCD_ENDPOINTS: usize = 32;

/// Entries of each list of `dns`: as many search domains as Kubernetes allows. The C library uses three name servers.
pub const DNS_ENTRIES: usize = 32;

/// Bytes read of `resolvConf`. The C library reads 256 bytes a line and three name servers.
pub const RESOLV_CONF_BYTES: u64 = 64 << 10;

/// `timeout`: shorter than the shortest round trip is a mistake; a runtime gives up after four minutes.
pub const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(600);

/// `cooldown`: a range would seem full for longer than anybody remembers why.
pub const COOLDOWN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 24 * 3600);

/// Characters of an answer's message and hint together. A kubelet event is cut at 1,024, and what runtimes put in front of
/// it takes some 300. The message loses its middle; the log has all of it.
pub const EVENT: usize = 700;
