//! Whether a container of which libcni has a result is known to be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Container;
use ipam::Attachment;

/// What is known of a container's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its network namespace exists.
    Has(PathBuf),
    /// No DEL has followed its ADD; more is not known.
    Unsure,
    /// Its network namespace is gone: the DEL was lost.
    Gone(PathBuf),
}

/// Looks at the network namespaces that libcni wrote down.
///
/// A missing namespace proves something only if this process could see it: a process in a container may see no namespace of
/// the node at all. It could see it if it sees another one in the same directory. Without that, a container is gone only if
/// its result was written before the machine was started.
pub(super) fn judge(containers: &mut BTreeMap<Attachment, Container>) {
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    for container in containers.values() {
        if let Life::Has(netns) = &container.life
            && netns.exists()
        {
            seen.insert(place(netns));
        }
    }
    let boot = booted();
    for container in containers.values_mut() {
        let Life::Has(netns) = &container.life else { continue };
        if netns.exists() {
            continue;
        }
        let before_boot = boot.is_some_and(|boot| container.written < boot);
        container.life =
            if seen.contains(&place(netns)) || before_boot { Life::Gone(netns.clone()) } else { Life::Unsure };
    }
}

/// The directory of a namespace. All of /proc counts as one: each process has a directory of its own there.
fn place(netns: &Path) -> PathBuf {
    if netns.starts_with("/proc") { PathBuf::from("/proc") } else { netns.parent().unwrap_or(netns).to_owned() }
}

/// When this machine was started.
pub fn booted() -> Option<SystemTime> {
    boot_time(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

/// `btime` of /proc/stat.
fn boot_time(stat: &str) -> Option<SystemTime> {
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_when_it_was_started() {
        assert_eq!(boot_time("cpu 1 2\nbtime 60\nprocesses 7"), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60)));
        assert_eq!(boot_time(""), None);
        let boot = boot_time(&fs::read_to_string("/proc/stat").unwrap()).unwrap();
        assert!(boot < SystemTime::now());
    }
}
