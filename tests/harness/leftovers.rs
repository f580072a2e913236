//! What a test run leaves behind when it is killed, and the next one that asks for it removes.
//!
//! Processes die with the run that started them. Network namespaces, bridges, directories and control groups do not:
//! each has the process ID of its run in its name or alias.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::namespace::ip;

/// How names of ours begin; the process ID follows.
const OURS: &str = "kube-ipam-";

/// The parent of control groups of containers whose runtime is told no other.
const CONTAINERS: &str = "k8s.io";

/// A directory that is gone when it goes out of scope, or with the next [`sweep`] after the run was killed.
pub fn directory(name: &str) -> TempDir {
    tempfile::Builder::new().prefix(&format!("{OURS}{}-{name}-", std::process::id())).tempdir().unwrap()
}

/// Remove what runs left that no longer exist.
pub fn sweep() {
    for namespace in orphans(Path::new("/var/run/netns")) {
        ip(&["netns", "del", &name(&namespace)]);
    }
    for bridge in entries(Path::new("/sys/class/net")) {
        let alias = fs::read_to_string(bridge.join("ifalias")).unwrap_or_default();
        if is_orphan(alias.trim()) {
            ip(&["link", "del", &name(&bridge)]);
        }
    }
    for directory in orphans(&std::env::temp_dir()) {
        let _ = fs::remove_dir_all(directory);
    }
    for hierarchy in hierarchies() {
        for group in orphans(&hierarchy) {
            remove_group(&group);
        }
    }
    remove_container_groups();
}

/// In every hierarchy, the group of this name and the groups within; true when none is left.
pub fn remove_cgroups(name: &str) -> bool {
    let mut all = true;
    for hierarchy in hierarchies() {
        all &= remove_group(&hierarchy.join(name));
    }
    all
}

/// The groups of containers that ended without their runtime. The kernel keeps those with a process in them.
pub fn remove_container_groups() {
    remove_cgroups(CONTAINERS);
}

fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let mut hierarchies = entries(&root);
    hierarchies.retain(|path| path.is_dir());
    hierarchies.push(root);
    hierarchies
}

fn remove_group(group: &Path) -> bool {
    let Ok(entries) = fs::read_dir(group) else { return true };
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok()
}

fn orphans(folder: &Path) -> Vec<PathBuf> {
    let mut found = entries(folder);
    found.retain(|path| is_orphan(&name(path)));
    found
}

/// Whether this is named after a process that no longer exists.
fn is_orphan(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(OURS) else { return false };
    let digits = rest.split('-').next().unwrap_or_default();
    let ours = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    ours && !Path::new("/proc").join(digits).exists()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::is_orphan;

    #[test]
    fn only_what_is_named_after_a_dead_process_is_an_orphan() {
        let living = std::process::id();
        // Above the largest process ID that Linux gives.
        for (name, orphan) in [
            ("kube-ipam-4294967295-db", true),
            ("kube-ipam-4294967295", true),
            (&format!("kube-ipam-{living}-db"), false),
            ("kube-ipam-apiserver", false),
            ("kube-ipam-", false),
            ("cni0", false),
        ] {
            assert_eq!(is_orphan(name), orphan, "{name}");
        }
    }
}
