//! Versions of etcd that operators have to know something of: what they lose, leak or break, and which one does not.

/// A fault of some versions of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionFault {
    /// What a member of such a version does.
    pub what: &'static str,
    /// The versions in which it does not.
    pub repaired_in: &'static str,
    pub kind: FaultKind,
    lines: &'static [Line],
}

/// Whom a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// What is stored may be lost or wrong.
    Data,
    /// Answers or the member itself may fail for a while.
    Service,
    /// Only where etcd tells users apart.
    Rights,
}

/// The patch versions of one minor version that have a fault: from the first on, up to but without the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    minor: (u32, u32),
    patches: (u32, u32),
}

const fn line(minor: u32, first: u32, repaired: u32) -> Line {
    Line { minor: (3, minor), patches: (first, repaired) }
}

const FAULTS: [VersionFault; 5] = [
    VersionFault {
        what: "a member that is killed under load may lose or corrupt data unnoticed (etcd-io/etcd#13766)",
        repaired_in: "3.5.3",
        kind: FaultKind::Data,
        lines: &[line(5, 0, 3)],
    },
    VersionFault {
        what: "a client that is killed amid a read-only transaction may crash it (etcd-io/etcd#14110)",
        repaired_in: "3.5.7",
        kind: FaultKind::Service,
        lines: &[line(5, 0, 7)],
    },
    VersionFault {
        what: "after a pause of its process it may answer with data that is out of date (etcd-io/etcd#20418)",
        repaired_in: "3.4.42, 3.5.28 or 3.6.9",
        kind: FaultKind::Service,
        lines: &[line(4, 0, 42), line(5, 0, 28), line(6, 0, 9)],
    },
    VersionFault {
        what: "any user can read and write all keys by nested transactions (CVE-2026-33343)",
        repaired_in: "3.4.42, 3.5.28 or 3.6.9",
        kind: FaultKind::Rights,
        lines: &[line(4, 0, 42), line(5, 0, 28), line(6, 0, 9)],
    },
    VersionFault {
        what: "users can read values that are not theirs by a put within a transaction (CVE-2026-44283)",
        repaired_in: "3.4.44, 3.5.30 or 3.6.11",
        kind: FaultKind::Rights,
        lines: &[line(4, 42, 44), line(5, 28, 30), line(6, 9, 11)],
    },
];

/// What is known of a version; nothing of one that is not three numbers.
pub fn faults_of(version: &str) -> Vec<&'static VersionFault> {
    let Some((major, minor, patch)) = numbers(version) else { return Vec::new() };
    let has = |fault: &&VersionFault| {
        let line = fault.lines.iter().find(|line| line.minor == (major, minor));
        line.is_some_and(|line| (line.patches.0..line.patches.1).contains(&patch))
    };
    FAULTS.iter().filter(has).collect()
}

/// Whether it is older than the oldest version that is still looked after.
pub fn is_outdated(version: &str) -> bool {
    numbers(version).is_some_and(|(major, minor, _)| (major, minor) < (3, 4))
}

/// `3.5.1` and `3.5.0-rc.1` alike.
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse);
    match (numbers.next()?, numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor), Ok(patch)) => Some((major, minor, patch)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: &str) -> Vec<(FaultKind, &'static str)> {
        faults_of(version).into_iter().map(|fault| (fault.kind, fault.repaired_in)).collect()
    }

    #[test]
    fn every_version_has_its_faults_and_no_others() {
        use FaultKind::{Data, Rights, Service};
        let stale = (Service, "3.4.42, 3.5.28 or 3.6.9");
        let nested = (Rights, "3.4.42, 3.5.28 or 3.6.9");
        let put = (Rights, "3.4.44, 3.5.30 or 3.6.11");
        let crash = (Service, "3.5.7");
        for (version, faults) in [
            ("3.4.23", vec![stale, nested]),
            ("3.4.41", vec![stale, nested]),
            ("3.4.42", vec![put]),
            ("3.4.44", vec![]),
            ("3.5.0-rc.1", vec![(Data, "3.5.3"), crash, stale, nested]),
            ("3.5.2", vec![(Data, "3.5.3"), crash, stale, nested]),
            ("3.5.3", vec![crash, stale, nested]),
            ("3.5.6", vec![crash, stale, nested]),
            ("3.5.7", vec![stale, nested]),
            ("3.5.27", vec![stale, nested]),
            ("3.5.28", vec![put]),
            ("3.5.30", vec![]),
            ("3.6.8", vec![stale, nested]),
            ("3.6.10", vec![put]),
            ("3.6.11", vec![]),
            ("3.7.1", vec![]),
            ("3.5", vec![]),
            ("", vec![]),
            ("v3.5.1", vec![]),
        ] {
            assert_eq!(found(version), faults, "{version}");
        }
    }

    #[test]
    fn what_is_not_looked_after_any_more_is_outdated() {
        assert!(is_outdated("3.3.27") && is_outdated("2.3.8"));
        assert!(!is_outdated("3.4.0") && !is_outdated("4.0.0") && !is_outdated("unknown"));
    }
}
