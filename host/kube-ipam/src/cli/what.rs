//! What a command is asked about: an address, a pod or a container, told apart by how it is written.

use std::net::IpAddr;

use ipam::Family;

/// The words of an argument that names something, in the form that is looked for. An address may be written with a prefix, as
/// it stands in a result.
pub(super) fn named(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_half = text.split_once('/').is_some_and(|(namespace, pod)| namespace.is_empty() || pod.is_empty());
    if text.is_empty() || is_half {
        return Err("expected an address, NAMESPACE/POD, or the beginning of a container ID".to_owned());
    }
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>().map(|address| address.to_canonical()) else {
        return Ok(text.to_owned());
    };
    let bits = Family::of(address).bits();
    if prefix.is_some_and(|prefix| prefix.parse::<u8>().map_or(true, |length| length > bits)) {
        return Err(format!("expected an address alone, or with a prefix length from 0 to {bits}"));
    }
    Ok(address.to_string())
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
            ("shop/web-0", "shop/web-0"),
            ("abcdef", "abcdef"),
        ] {
            assert_eq!(named(text).as_deref(), Ok(address), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "  ", "/", "shop/", "/web", "10.92.0.2/", "10.92.0.2/33", "10.92.0.2/x", "fd00::2/129"] {
            assert!(named(text).unwrap_err().starts_with("expected an address"), "{text}");
        }
    }
}
