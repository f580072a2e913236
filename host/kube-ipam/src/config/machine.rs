//! Which machine this is: what tells machines apart that call themselves by one name.

use rustix::fs::{Mode, OFlags, open};
use sha2::{Digest, Sha256};

/// Where systemd and D-Bus keep the ID of the machine.
const FILES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// machine-id(5) asks programs not to pass the ID itself on: with this in front, the hash means nothing to others.
const LABEL: &str = "kube-ipam machine";

/// The bytes of the hash that are used: enough to tell apart machines that have one name.
const HASH_BYTES: usize = 8;

/// A hash of the machine's ID; empty where the machine has none. Never an error: an ADD works without.
pub(super) fn read_id() -> String {
    for file in FILES {
        if let Some(hash) = read_start(file).as_deref().and_then(hash_id) {
            return hash;
        }
    }
    String::new()
}

/// The beginning of a file. Every ADD reads this one: it takes half of the system calls that the standard library makes.
fn read_start(file: &str) -> Option<String> {
    let file = open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = [0; 64];
    let length = rustix::io::read(&file, &mut bytes).ok()?;
    String::from_utf8(bytes.get(..length)?.to_vec()).ok()
}

fn hash_id(text: &str) -> Option<String> {
    let id = text.trim().to_ascii_lowercase();
    // "uninitialized" until the first boot is over, and some images are shipped with nothing but zeros.
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) || id.bytes().all(|byte| byte == b'0') {
        return None;
    }
    Some(format!("{:.1$x}", Sha256::digest(format!("{LABEL} {id}")), 2 * HASH_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_machines_apart_and_never_the_id() {
        let [one, two] = ["3d1219c7c4c5404aaa1f6d2a48adfda4\n", "3D1219C7C4C5404AAA1F6D2A48ADFDA5"].map(hash_id);
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(
            one.len() == 16 && one != two && !"3d1219c7c4c5404aaa1f6d2a48adfda4".contains(&one[..4]),
            "{one} {two}"
        );
        assert_eq!(
            hash_id("3D1219C7C4C5404AAA1F6D2A48ADFDA4").as_ref(),
            Some(&one),
            "hexadecimal digits of either case"
        );
    }

    #[test]
    fn a_machine_without_an_id_is_unknown() {
        for text in [
            "",
            "uninitialized\n",
            "00000000000000000000000000000000\n",
            "3d1219c7",
            "zd1219c7c4c5404aaa1f6d2a48adfda4",
        ] {
            assert_eq!(hash_id(text), None, "{text:?}");
        }
    }
}
