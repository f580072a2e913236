//! From a key back to what it names: the inverse of the drawing in `keys.rs`.

use std::net::IpAddr;

use super::spelling::{parse_digits, parse_hex, parse_number, unescape};
use super::{CLUSTER_DIGITS, Keys, NO_CLUSTER, NODE_DIGITS, OWN_NETWORK, POD_DIGITS};
use crate::nearby::aligned;
use ipam::{Attachment, Slot};

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Address(IpAddr),
    Attachment(Attachment),
    Node {
        /// The digest of its name.
        node: String,
        machine: String,
        attachment: Attachment,
    },
    Pod {
        /// The digests of its name and of its cluster.
        pod: String,
        interface: String,
        network: String,
    },
    Hold(IpAddr),
    Identity {
        identity: String,
        address: IpAddr,
    },
    Expiry {
        seconds: u64,
        address: IpAddr,
    },
    Slot(Slot),
    Cursor,
    Full,
}

impl Keys {
    /// What a key names; `None` when it is not one of ours.
    pub(crate) fn named(&self, key: &str) -> Option<Named> {
        let mut parts = Parts(key.strip_prefix(&*self.root)?.split('/'));
        let named = match parts.part()?.as_str() {
            "a" => Named::Address(parse_digits(&parts.part()?, &parts.part()?)?),
            "h" => Named::Hold(parse_digits(&parts.part()?, &parts.part()?)?),
            "c" => {
                let (container, interface) = (parts.part()?, parts.part()?);
                Named::Attachment(Attachment { network: self.last_network(&mut parts)?, container, interface })
            }
            "n" => {
                let (node, machine) = (parts.digest(NODE_DIGITS)?, parts.part()?);
                let network = match parts.0.next()? {
                    OWN_NETWORK => self.domain(),
                    other => unescape(other).filter(|network| !self.is_own(network))?,
                };
                let (container, interface) = (parts.part()?, parts.part()?);
                Named::Node { node, machine, attachment: Attachment { network, container, interface } }
            }
            "p" => {
                let name = parts.digest(POD_DIGITS)?;
                let cluster = match parts.0.next()? {
                    NO_CLUSTER => NO_CLUSTER.to_owned(),
                    digest => parse_hex(digest, CLUSTER_DIGITS).map(|_| digest.to_owned())?,
                };
                let interface = parts.part()?;
                Named::Pod { pod: format!("{name}/{cluster}"), interface, network: self.last_network(&mut parts)? }
            }
            "e" => {
                let seconds = u64::try_from(parse_hex(&parts.part()?, 16)?).ok()?;
                Named::Expiry { seconds, address: parse_digits(&parts.part()?, &parts.part()?)? }
            }
            "i" => Named::Identity { identity: parts.part()?, address: parse_digits(&parts.part()?, &parts.part()?)? },
            "s" => Named::Slot(Slot { name: parts.part()?, number: parse_number(&parts.part()?)? }),
            "l" => parts.part().map(|_| Named::Cursor)?,
            "f" => {
                let bits: u32 = parts.part()?.parse().ok()?;
                let first = parse_digits(&parts.part()?, &parts.part()?)?;
                if aligned(first, bits).first() != first {
                    return None;
                }
                Named::Full
            }
            _ => return None,
        };
        parts.are_over().then_some(named)
    }

    /// The network at the end of a key, where nothing stands for the one that is called like the domain.
    fn last_network(&self, parts: &mut Parts<'_>) -> Option<String> {
        match parts.0.next() {
            None => Some(self.domain()),
            Some(part) => unescape(part).filter(|network| !self.is_own(network)),
        }
    }
}

/// The parts of a key behind its root, one after the other. What is escaped in a way that we never do ends them.
struct Parts<'a>(std::str::Split<'a, char>);

impl Parts<'_> {
    fn part(&mut self) -> Option<String> {
        self.0.next().and_then(unescape)
    }

    fn digest(&mut self, digits: usize) -> Option<String> {
        let digest = self.0.next()?;
        parse_hex(digest, digits).map(|_| digest.to_owned())
    }

    fn are_over(mut self) -> bool {
        self.0.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_others_are_not_ours() {
        let keys = Keys::new("", "blue");
        for key in ["/v2/red/a/4/0abc0002", "/v2/blue/a/4/abc0002", "/v2/blue/a/4/0ABC0002", "/v1/blue/a/4/0abc0002"] {
            assert_eq!(keys.named(key), None, "{key}");
        }
        assert_eq!(keys.named("/v2/blue/a/4/0abc0002/x"), None);
        assert!(keys.named("/v2/blue/c/c3/eth0").is_some() && keys.named("/v2/blue/c/c3/eth0/green").is_some());
        // What we would write otherwise is found by no DEL.
        for container in ["%633", "c%2F", "c%+f", "c/"] {
            assert_eq!(keys.named(&format!("/v2/blue/c/{container}/eth0/green")), None, "{container}");
        }
        for under_node in ["blue/c3/eth0", "~/c3", "~/c3/eth0/x"] {
            assert_eq!(keys.named(&format!("/v2/blue/n/0123456789ab/m1/{under_node}")), None, "{under_node}");
        }
        assert!(keys.named("/v2/blue/n/0123456789ab/m1/~/c3/eth0").is_some());
        assert_eq!(keys.named("/v2/blue/n/0123456789AB/m1/~/c3/eth0"), None);
        assert!(keys.named("/v2/blue/p/0123456789abcdef/-/eth0").is_some());
        for pod in ["0123456789abcdef/6c1f", "0123456789abcdef/~", "0123456789abcde/-"] {
            assert_eq!(keys.named(&format!("/v2/blue/p/{pod}/eth0")), None, "{pod}");
        }
        assert!(keys.named("/v2/blue/e/00000000713fb300/4/0abc0002").is_some());
        for seconds in ["713fb300", "00000000713FB300", "+0000000713fb300"] {
            assert_eq!(keys.named(&format!("/v2/blue/e/{seconds}/4/0abc0002")), None, "{seconds}");
        }
    }
}
