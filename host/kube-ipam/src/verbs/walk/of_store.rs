//! What can go wrong with the store.

use std::io;

use heed::MdbError;

use super::people::{ENDPOINT, NETWORK, attachment, file, ip};
use store::{Moved, StoreError};

pub(super) fn examples() -> Vec<StoreError> {
    let silent = format!("{ENDPOINT}: tcp connect error: Connection refused (os error 111)");
    let failures = vec![silent; 7];
    let key = format!("/kube-ipam/v2/{NETWORK}/c/{}/eth0", attachment().container);
    let disk = |kind: io::ErrorKind| StoreError::File { doing: "open", path: file(), source: kind.into() };
    let moved = of_moved().into_iter().map(StoreError::from);
    let mut all = every!(StoreError {
        StoreError::Damaged { .. } => [
            StoreError::Damaged { key: key.clone(), what: "it ends too early".to_owned() },
        ],
        StoreError::TooLate => [StoreError::TooLate],
        StoreError::TurnTaken { .. } => [StoreError::TurnTaken { path: file() }],
        StoreError::Contended { .. } => [StoreError::Contended { object: attachment().to_string(), attempts: 8 }],
        StoreError::Full { .. } => [StoreError::Full { place: ENDPOINT.to_owned() }],
        StoreError::DiskFull { .. } => [
            StoreError::DiskFull { path: file(), source: None },
            StoreError::DiskFull { path: file(), source: Some(io::ErrorKind::StorageFull.into()) },
        ],
        StoreError::KeyTooLong { .. } => [StoreError::KeyTooLong { key, length: 2_000, limit: 1_900 }],
        StoreError::File { .. } => [disk(io::ErrorKind::PermissionDenied), disk(io::ErrorKind::NotADirectory)],
        StoreError::NetworkFileSystem { .. } => [StoreError::NetworkFileSystem { path: file(), kind: "NFS" }],
        StoreError::NotADatabase { .. } => [StoreError::NotADatabase { path: file() }],
        StoreError::AddressSpace { .. } => [StoreError::AddressSpace { path: file(), bytes: 256 << 20 }],
        StoreError::Busy { .. } => [StoreError::Busy { path: file(), readers: 4_096 }],
        StoreError::Credentials { .. } => [StoreError::Credentials {
            field: "etcdCertFile",
            path: "/etc/kubernetes/pki/etcd/client.crt".into(),
            what: "it expired on 2026-01-01T00:00:00Z".to_owned(),
        }],
        StoreError::Unreachable { .. } => [
            StoreError::Unreachable { failures: failures.clone() },
            refused_in_tls("invalid peer certificate: UnknownIssuer"),
            refused_in_tls("connection error: received fatal alert: BadCertificate"),
        ],
        StoreError::Refused { .. } => [
            refused("permission denied"),
            refused("authentication failed, invalid user ID or password"),
            refused("too many requests"),
        ],
        StoreError::OutcomeUnknown { .. } => [StoreError::OutcomeUnknown { failures }],
        StoreError::Compacted => [StoreError::Compacted],
        StoreError::Format { .. } => [
            StoreError::Format { network: NETWORK.to_owned(), found: 1 },
            StoreError::Format { network: NETWORK.to_owned(), found: 3 },
        ],
        StoreError::ReadOnly => [StoreError::ReadOnly],
        StoreError::Moved(_) => [of_moved().remove(0).into()],
        StoreError::Unreadable { .. } => [
            unreadable(StoreError::NotADatabase { path: file() }),
            unreadable(StoreError::Busy { path: file(), readers: 4_096 }),
        ],
        StoreError::Embedded { .. } => [
            StoreError::Embedded { doing: "write", path: file(), source: heed::Error::Mdb(MdbError::Corrupted) },
            StoreError::Embedded { doing: "write", path: file(), source: heed::Error::Mdb(MdbError::BadTxn) },
        ],
    });
    all.extend(moved);
    all
}

fn unreadable(source: StoreError) -> StoreError {
    StoreError::Unreadable { file: file(), network: NETWORK.to_owned(), source: Box::new(source) }
}

fn of_moved() -> Vec<Moved> {
    let (network, former, container) = (NETWORK.to_owned(), "production-green".to_owned(), attachment().container);
    every!(Moved {
        Moved::Domain { .. } => [Moved::Domain {
            network: network.clone(),
            domain: "production".to_owned(),
            former: former.clone(),
            container: container.clone(),
        }],
        Moved::Network { .. } => [
            Moved::Network { network: network.clone(), former: former.clone(), address: ip("10.188.0.216") },
        ],
        Moved::Renamed { .. } => [
            Moved::Renamed { network: network.clone(), now: former.clone(), container: container.clone() },
        ],
        Moved::Dir { .. } => [Moved::Dir { network, dir: "/var/lib/cni/kube-ipam".into(), former, container }],
    })
}

fn refused_in_tls(why: &str) -> StoreError {
    StoreError::Unreachable { failures: vec![format!("{ENDPOINT}: {why}")] }
}

fn refused(why: &str) -> StoreError {
    StoreError::Refused { doing: "read", endpoint: ENDPOINT.to_owned(), why: format!("etcdserver: {why}") }
}
