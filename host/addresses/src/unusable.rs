//! Why an address is never handed out.

use core::fmt;

use crate::prefix::Prefix;

/// Why an address is never handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Outside every configured subnet.
    Outside,
    /// The gateway of this subnet.
    Gateway(Prefix),
    /// The network address of this subnet (IPv6: the subnet-router anycast address).
    Network(Prefix),
    /// The broadcast address of this subnet.
    Broadcast(Prefix),
    /// In this excluded part.
    Excluded(Prefix),
}

/// The end of a sentence that begins with the address.
impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str("is outside every configured subnet"),
            Self::Gateway(subnet) => write!(f, "is the gateway of {subnet}"),
            Self::Network(subnet) => write!(f, "is the network address of {subnet}"),
            Self::Broadcast(subnet) => write!(f, "is the broadcast address of {subnet}"),
            Self::Excluded(part) => write!(f, "is excluded by {part}"),
        }
    }
}
