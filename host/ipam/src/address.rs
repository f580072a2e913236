//! Addresses as they are written down. What they are is in the crate `addresses`, which the SDK of policies shares.

pub use addresses::{canonical, number, parse_address, successor};
use ipnetwork::IpNetwork;

/// The subnet in a text, host bits and all: whoever wrote them is told what the subnet is taken for. A single address is a
/// subnet of one, and of IPv4 the length may be a netmask.
pub fn parse_subnet(text: &str) -> Option<IpNetwork> {
    let subnet: IpNetwork = text.parse().ok()?;
    let (address, length) = canonical(subnet.ip(), subnet.prefix())?;
    IpNetwork::new(address, length).ok()
}

/// A list of spans in JSON, each as text.
pub mod spans {
    use addresses::Span;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Write each as an address, or as `first-last`.
    pub fn serialize<'a, S: Serializer>(
        spans: impl IntoIterator<Item = &'a Span>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(spans.into_iter().map(ToString::to_string))
    }

    /// Read each as an address, as `first-last` or as a subnet. An error quotes the text that is none of them.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Span>, D::Error> {
        let mut spans = Vec::new();
        for text in Vec::<String>::deserialize(deserializer)? {
            let span = text.parse();
            spans.push(span.map_err(|error| D::Error::custom(format!("{text:?} is not a valid range: {error}")))?);
        }
        Ok(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_keeps_its_host_bits_and_ipv4_written_as_ipv6_is_ipv4() {
        for (text, subnet) in [
            ("10.0.0.7/24", Some("10.0.0.7/24")),
            ("10.0.0.7/255.255.0.0", Some("10.0.0.7/16")),
            ("10.0.0.7", Some("10.0.0.7/32")),
            ("::ffff:10.0.0.7/112", Some("10.0.0.7/16")),
            ("::ffff:10.0.0.7", Some("10.0.0.7/32")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("fd00::7/64", Some("fd00::7/64")),
            ("::ffff:10.0.0.7/95", None),
            ("::ffff:10.0.0.7/24", None),
            ("::ffff:10.0.0.7/129", None),
            ("10.0.0.7/33", None),
        ] {
            assert_eq!(parse_subnet(text).map(|subnet| subnet.to_string()).as_deref(), subnet, "{text}");
        }
    }
}
