//! What may become of a member, beyond its end: a disk that is full, a replacement, links that pass one way.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::Etcd;
use crate::lan::Lan;

/// A file of nothing on a member's disk.
const BALLAST: &str = "ballast";

impl Etcd {
    /// The network that its members are apart on.
    pub fn lan(&self) -> &Lan {
        self.lan.as_ref().expect("started apart")
    }

    /// Fill the disk of a member up to the last block.
    pub fn fill_disk(&self, nth: usize) {
        let size = self.setup.disk.expect("started on disks of their own");
        // It ends with an error, which is what it is for.
        let _ = fs::write(self.data(nth).join(BALLAST), vec![1_u8; (size as usize) << 20]);
    }

    /// Make room again.
    pub fn clear_disk(&self, nth: usize) {
        let _ = fs::remove_file(self.data(nth).join(BALLAST));
    }

    /// Take a member out of the cluster for good, with its data, and another one in under its name.
    pub fn replace(&self, nth: usize) {
        let others: Vec<usize> = (0..self.members.len()).filter(|other| *other != nth).collect();
        self.kill(nth);
        let listed = self.ask(&others, &["member", "list", "--write-out", "json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let name = format!("m{nth}");
        let members = listed["members"].as_array().unwrap();
        let id = members.iter().find(|member| member["name"] == name.as_str()).unwrap()["ID"].as_u64().unwrap();
        let removed = self.ask(&others, &["member", "remove", &format!("{id:x}")]);
        assert!(removed.status.success(), "{removed:?}");
        empty(&self.data(nth));
        // Refused as long as the cluster does not know the others well.
        let peers = format!("--peer-urls={}", self.url(nth, 1));
        let added = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            self.ask(&others, &["member", "add", &name, &peers]).status.success()
        });
        assert!(added, "{name} cannot be added");
        self.members[nth].joins.store(true, Ordering::Relaxed);
        self.launch(nth);
    }

    /// Whether its process has ended by itself.
    pub fn has_ended(&self, nth: usize) -> bool {
        let mut child = self.members[nth].child.lock().unwrap();
        child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    pub(super) fn insert_disks(&self) {
        let Some(size) = self.setup.disk else { return };
        for nth in 0..self.members.len() {
            fs::create_dir(self.data(nth)).unwrap();
            let options = format!("size={size}m,mode=700");
            let mounted =
                Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(self.data(nth)).status();
            assert!(mounted.is_ok_and(|status| status.success()), "a disk for member {nth} cannot be mounted");
        }
    }

    pub(super) fn remove_disks(&self) {
        for nth in (0..self.members.len()).filter(|_| self.setup.disk.is_some()) {
            let _ = Command::new("umount").arg("--lazy").arg(self.data(nth)).status();
        }
    }
}

/// The directory stays: it may be where a disk is mounted.
fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}
