//! What pods write into annotations: names that count, names that do not, and values that cannot be followed.

use crate::lab::world::NETWORK;

/// Names that mean nothing in this network; `kube-ipam.ip.elsewhere` is meant for a network of another name. Any other
/// name that begins with `kube-ipam.` would be refused before a policy is asked.
pub(super) const OTHERS: [&str; 4] =
    ["example.com/team", "kube-ipam.ip.elsewhere", "cni.projectcalico.org/ipAddrs", "\u{2603}"];

/// Values that are not a list of addresses, a mask or a gateway, whichever network they are read for.
pub(super) const MALFORMED: [&str; 16] = [
    "",
    " ",
    "somewhere",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.7/33",
    ",",
    "10.0.0.7,,10.0.0.8",
    "fd00::g",
    "::/129",
    "-1",
    "10.0.0.9-10.0.0.2-",
    "[\"10.0.0.7\"]",
    "\u{1b}[31m10.0.0.7",
    "\u{ff11}\u{ff10}.0.0.7",
    "0x0a000007",
];

/// The name with the world's network at its end.
pub(super) fn for_network(name: &str) -> String {
    format!("{name}.{NETWORK}")
}

/// Whether a policy may take it for one of kube-ipam's own.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with("kube-ipam.")
}
