//! What a command is asked about: an address, a pod or a container, told apart by how it is written.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipam::{Attachment, Claim, Family};
use store::AllocationFilter;

/// The argument `ADDRESS|NAMESPACE/POD|CONTAINER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// In canonical form: IPv4 written as IPv6 is IPv4.
    Address(IpAddr),
    Pod {
        namespace: String,
        name: String,
    },
    /// The ID of a container, or its beginning.
    Container(String),
}

impl FromStr for Subject {
    type Err = String;

    /// An address may be written with a prefix, as it is in the result of an ADD.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (first, second) = match text.split_once('/') {
            Some((first, second)) => (first, Some(second)),
            None => (text, None),
        };
        if first.is_empty() || second.is_some_and(str::is_empty) {
            return Err("expected an address, NAMESPACE/POD, or the beginning of a container ID".to_owned());
        }
        let Ok(address) = first.parse::<IpAddr>() else {
            return Ok(match second {
                Some(name) => Self::Pod { namespace: first.to_owned(), name: name.to_owned() },
                None => Self::Container(first.to_owned()),
            });
        };
        let address = address.to_canonical();
        let bits = Family::of(address).bits();
        if second.is_some_and(|prefix| prefix.parse::<u8>().map_or(true, |length| length > bits)) {
            return Err(format!("expected an address alone, or with a prefix length from 0 to {bits}"));
        }
        Ok(Self::Address(address))
    }
}

impl Subject {
    pub(super) fn filter(&self) -> AllocationFilter {
        match self {
            Self::Address(address) => AllocationFilter { address: Some(*address), ..AllocationFilter::default() },
            Self::Pod { namespace, name } => {
                AllocationFilter { pod: Some((namespace.clone(), name.clone())), ..AllocationFilter::default() }
            }
            Self::Container(id) => AllocationFilter { container: Some(id.clone()), ..AllocationFilter::default() },
        }
    }

    /// Leave only the container whose ID is written out in full, where there is one: that one is meant, even if longer IDs
    /// begin with it.
    pub(super) fn prefer_whole<T>(&self, found: &mut Vec<T>, attachment: impl Fn(&T) -> &Attachment) {
        if let Self::Container(id) = self
            && found.iter().any(|one| attachment(one).container == *id)
        {
            found.retain(|one| attachment(one).container == *id);
        }
    }

    /// Whether a claim is meant by it. Ceded addresses do not count: another attachment holds them now.
    pub(super) fn fits(&self, claim: &Claim) -> bool {
        match self {
            Self::Address(address) => claim.addresses().any(|held| held == *address),
            Self::Pod { namespace, name } => {
                claim.pod.as_ref().is_some_and(|pod| pod.namespace == *namespace && pod.name == *name)
            }
            Self::Container(id) => claim.attachment.container.starts_with(id),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Pod { namespace, name } => write!(f, "{namespace}/{name}"),
            Self::Container(id) => f.write_str(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_with_and_without_its_prefix() {
        for (text, address) in [
            ("10.92.0.2", "10.92.0.2"),
            (" 10.92.0.2/24", "10.92.0.2"),
            ("fd00:0::2/64", "fd00::2"),
            ("::ffff:10.92.0.2", "10.92.0.2"),
        ] {
            assert_eq!(text.parse(), Ok(Subject::Address(address.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_a_pod_or_a_container() {
        let pod = Subject::Pod { namespace: "shop".to_owned(), name: "web-0".to_owned() };
        assert_eq!("shop/web-0".parse(), Ok(pod));
        for id in ["abcdef", "10.0.0.5-web"] {
            assert_eq!(id.parse(), Ok(Subject::Container(id.to_owned())));
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "  ", "/", "shop/", "/web", "10.92.0.2/", "10.92.0.2/33", "10.92.0.2/x", "fd00::2/129"] {
            assert!(text.parse::<Subject>().unwrap_err().starts_with("expected an address"), "{text}");
        }
    }
}
