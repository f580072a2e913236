//! From a key back to what it names: the inverse of the drawing in `keys.rs`.

use std::net::IpAddr;

use super::Keys;
use super::spelling::{parse_digits, parse_hex, parse_number, unescape};
use ipam::{Attachment, Slot};

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Address(IpAddr),
    Attachment(Attachment),
    Node { node: String, machine: String, attachment: Attachment },
    Pod { cluster: String, namespace: String, name: String, interface: String, network: String },
    Hold(IpAddr),
    Identity { identity: String, address: IpAddr },
    Expiry { seconds: u64, address: IpAddr },
    Slot(Slot),
    Cursor,
}

impl Keys {
    /// What a key names; `None` when it is not one of ours.
    pub(crate) fn named(&self, key: &str) -> Option<Named> {
        let mut parts = Parts(key.strip_prefix(&*self.root)?.split('/'));
        let named = match parts.part()?.as_str() {
            "addresses" => Named::Address(parse_digits(&parts.part()?, &parts.part()?)?),
            "holds" => Named::Hold(parse_digits(&parts.part()?, &parts.part()?)?),
            "attachments" => {
                let (container, interface, network) = (parts.part()?, parts.part()?, parts.part()?);
                Named::Attachment(Attachment { network, container, interface })
            }
            "nodes" => {
                let (node, machine, network, container, interface) =
                    (parts.part()?, parts.part()?, parts.part()?, parts.part()?, parts.part()?);
                Named::Node { node, machine, attachment: Attachment { network, container, interface } }
            }
            "pods" => {
                let (cluster, namespace, name, interface, network) =
                    (parts.part()?, parts.part()?, parts.part()?, parts.part()?, parts.part()?);
                Named::Pod { cluster, namespace, name, interface, network }
            }
            "expiries" => {
                let seconds = u64::try_from(parse_hex(&parts.part()?, 16)?).ok()?;
                Named::Expiry { seconds, address: parse_digits(&parts.part()?, &parts.part()?)? }
            }
            "identities" => {
                Named::Identity { identity: parts.part()?, address: parse_digits(&parts.part()?, &parts.part()?)? }
            }
            "slots" => Named::Slot(Slot { name: parts.part()?, number: parse_number(&parts.part()?)? }),
            "cursors" => parts.part().map(|_| Named::Cursor)?,
            _ => return None,
        };
        parts.are_over().then_some(named)
    }
}

/// The parts of a key behind its root, one after the other. What is escaped in a way that we never do ends them.
struct Parts<'a>(std::str::Split<'a, char>);

impl Parts<'_> {
    fn part(&mut self) -> Option<String> {
        self.0.next().and_then(unescape)
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
        for key in ["/v1/red/addresses/4/0abc0002", "/v1/blue/addresses/4/abc0002", "/v1/blue/addresses/4/0ABC0002"] {
            assert_eq!(keys.named(key), None, "{key}");
        }
        assert_eq!(keys.named("/v1/blue/addresses/4/0abc0002/x"), None);
        assert!(keys.named("/v1/blue/attachments/c3/eth0/blue").is_some());
        // What we would write otherwise is found by no DEL.
        for container in ["%633", "c%2F", "c%+f", "c/"] {
            assert_eq!(keys.named(&format!("/v1/blue/attachments/{container}/eth0/blue")), None, "{container}");
        }
        assert!(keys.named("/v1/blue/expiries/00000000713fb300/4/0abc0002").is_some());
        for seconds in ["713fb300", "00000000713FB300", "+0000000713fb300"] {
            assert_eq!(keys.named(&format!("/v1/blue/expiries/{seconds}/4/0abc0002")), None, "{seconds}");
        }
    }
}
