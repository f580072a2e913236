//! Whether a container that libcni has the result of is known to be gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Container;
use ipam::Attachment;

/// What is known of a container's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its network namespace is there.
    Has(PathBuf),
    /// No DEL has followed its ADD; more is not known.
    Unsure,
    /// Its network namespace is gone: the DEL got lost.
    Gone(PathBuf),
}

/// Look at the network namespaces that libcni wrote down. One that is missing proves something only where we would see
/// it: in a container of its own a process may see no namespace of the node at all. It would be seen where another of the
/// same directory is; and nothing lives that was started before the machine.
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

/// The directory of a namespace; all of /proc is one.
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
