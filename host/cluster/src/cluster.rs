//! The cluster that an API server belongs to, and the note of it on a node.
//!
//! A cluster is known by the uid of its namespace `kube-system`, which lives as long as the cluster. Asking for it at
//! every ADD would cost a request, so the node keeps what was learnt in `clusters/` of the data directory, beside how the
//! kubeconfig file looked then. A file that was changed since may lead to another cluster: it is asked again when the API
//! server is asked something anyway.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use files::{Replacement, Survives, Turn};
use ipam::PodName;
use limits::{CLUSTER_NOTE_BYTES, CLUSTER_REFUSED};

/// The directory of notes, below the data directory.
const DIRECTORY: &str = "clusters";

/// The cluster that is asked, by which it is told whose pods it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    pub cluster: String,
    /// Whether the store is of one node. Then a pod whose cluster is not recorded is of this one.
    pub single_node: bool,
}

impl Home {
    /// Why this API server cannot know what has become of a pod; `None` where the pod is of this cluster.
    pub fn foreign(&self, pod: &PodName) -> Option<String> {
        match pod.cluster.as_deref() {
            Some(cluster) if cluster == self.cluster => None,
            Some(cluster) => {
                Some(format!("pod {pod} belongs to cluster {cluster}, but this cluster is {}", self.cluster))
            }
            None if self.single_node => None,
            None => Some(format!("the cluster of pod {pod} is not known")),
        }
    }
}

/// What a node remembers of the cluster that a kubeconfig file leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The cluster; `None` where the API server refused to tell it a moment ago.
    pub cluster: Option<String>,
    /// Whether the kubeconfig file is still as it was when the cluster was learnt.
    pub is_current: bool,
}

/// A note on a node about the cluster of one kubeconfig file.
pub(super) struct Note {
    kubeconfig: PathBuf,
    directory: PathBuf,
}

/// The content of a note.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    /// Compared with the file that is asked for, because the name of a note is only a digest of it.
    kubeconfig: PathBuf,
    seen: Looks,
    cluster: Option<String>,
}

/// By what a changed file is told from an unchanged one, without reading it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Looks {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Note {
    pub(super) fn about(kubeconfig: &Path, data_dir: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), directory: data_dir.join(DIRECTORY) }
    }

    /// What was learnt before. A note that cannot be read, or that another user could have written, does not count.
    pub(super) fn read(&self) -> Option<Known> {
        let (noted, age) = self.noted().inspect_err(|error| self.say_unless_absent(error)).ok()?;
        let is_current = Looks::of(&self.kubeconfig).is_ok_and(|looks| looks == noted.seen);
        // A refusal is remembered for a moment only, and for this file: the right that is missing may be granted.
        if noted.cluster.is_none() && (!is_current || age > CLUSTER_REFUSED) {
            return None;
        }
        Some(Known { cluster: noted.cluster, is_current })
    }

    /// Note the cluster, or that the API server refused to tell it. Where that fails it is logged, and no ADD fails for it.
    pub(super) fn write(&self, cluster: Option<&str>) {
        if self.read().is_some_and(|known| known.is_current && known.cluster.as_deref() == cluster) {
            return;
        }
        match self.put(cluster) {
            Ok(()) => tracing::info!(cluster, file = %self.file().display(), "saved the ID of this cluster"),
            Err(error) => tracing::warn!(file = %self.file().display(), %error, "cannot save the ID of this cluster"),
        }
    }

    /// The file of the note, named after the path of the kubeconfig file: a node may have several.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(self.file_name())
    }

    fn file_name(&self) -> String {
        format!("{:.32x}", Sha256::digest(self.kubeconfig.as_os_str().as_encoded_bytes()))
    }

    /// The content of the note, and how old it is.
    fn noted(&self) -> io::Result<(Noted, Duration)> {
        // Opened first and looked at then: between the two nobody can put another file in its place. Neither a link is
        // followed nor a pipe waited for.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(self.file())?;
        let metadata = file.metadata()?;
        let ours = [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid());
        if !metadata.is_file() || !ours || metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other("other users could have written it"));
        }
        let age = metadata.modified()?.elapsed().unwrap_or_default();
        let mut text = Vec::new();
        file.take(CLUSTER_NOTE_BYTES).read_to_end(&mut text)?;
        let noted: Noted = serde_json::from_slice(&text)?;
        if noted.kubeconfig != self.kubeconfig {
            return Err(io::Error::other("it was written for another kubeconfig"));
        }
        Ok((noted, age))
    }

    /// Write the note as a whole or not at all, because other processes read it meanwhile.
    fn put(&self, cluster: Option<&str>) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let seen = Looks::of(&self.kubeconfig)?;
        let noted = Noted { kubeconfig: self.kubeconfig.clone(), seen, cluster: cluster.map(str::to_owned) };
        let text = serde_json::to_vec(&noted)?;
        // It can be asked for again; and whoever else notes it meanwhile notes the same.
        Replacement { mode: 0o600, survives: Survives::Kill, turn: Turn::Anybodys }.put(
            &self.directory,
            self.file_name().as_ref(),
            |file| file.write_all(&text),
        )
    }

    fn say_unless_absent(&self, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(file = %self.file().display(), %error, "not used");
        }
    }
}

impl Looks {
    fn of(file: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(file)?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Ok(Self { inode: metadata.ino(), size: metadata.size(), modified })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn pod(cluster: Option<&str>) -> PodName {
        PodName { namespace: "shop".into(), name: "web".into(), uid: None, cluster: cluster.map(Into::into) }
    }

    #[test]
    fn a_pod_of_another_or_of_an_unknown_cluster_is_foreign() {
        let home = |single_node| Home { cluster: "east".into(), single_node };
        assert_eq!(home(false).foreign(&pod(Some("east"))), None);
        assert!(home(false).foreign(&pod(Some("west"))).unwrap().contains("cluster west"));
        assert!(home(true).foreign(&pod(Some("west"))).is_some(), "also on the disk of one node");
        assert!(home(false).foreign(&pod(None)).is_some());
        assert_eq!(home(true).foreign(&pod(None)), None);
    }

    #[test]
    fn a_note_outlives_a_change_of_the_kubeconfig_but_is_no_longer_current() {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        let note = Note::about(&kubeconfig, &directory.path().join("data"));
        fs::write(&kubeconfig, "one").unwrap();
        assert_eq!(note.read(), None);
        note.write(Some("east"));
        assert_eq!(note.read(), Some(Known { cluster: Some("east".into()), is_current: true }));
        assert_eq!(fs::metadata(note.file()).unwrap().permissions().mode() & 0o7777, 0o600);
        fs::write(&kubeconfig, "another").unwrap();
        assert_eq!(note.read(), Some(Known { cluster: Some("east".into()), is_current: false }));
        note.write(Some("west"));
        assert_eq!(note.read(), Some(Known { cluster: Some("west".into()), is_current: true }));
        fs::remove_file(&kubeconfig).unwrap();
        assert!(!note.read().unwrap().is_current);
    }

    #[test]
    fn a_refusal_is_remembered_for_a_moment() {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        fs::write(&kubeconfig, "").unwrap();
        let note = Note::about(&kubeconfig, directory.path());
        note.write(None);
        assert_eq!(note.read(), Some(Known { cluster: None, is_current: true }));
        let long_ago = std::time::SystemTime::now() - 2 * CLUSTER_REFUSED;
        File::options().write(true).open(note.file()).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(note.read(), None);
        note.write(None);
        fs::write(&kubeconfig, "another").unwrap();
        assert_eq!(note.read(), None, "it may be allowed now");
        note.write(Some("east"));
        assert_eq!(note.read().unwrap().cluster.unwrap(), "east");
    }

    #[test]
    fn a_note_that_is_damaged_or_writable_for_others_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        fs::write(&kubeconfig, "").unwrap();
        let note = Note::about(&kubeconfig, directory.path());
        note.write(Some("east"));
        fs::set_permissions(note.file(), Permissions::from_mode(0o622)).unwrap();
        assert_eq!(note.read(), None);
        note.write(Some("east"));
        assert!(note.read().is_some(), "written again");
        for text in ["", "{", "{\"cluster\": \"east\"}", "[]"] {
            fs::write(note.file(), text).unwrap();
            assert_eq!(note.read(), None, "{text}");
        }
        let other = Note::about(&directory.path().join("other"), directory.path());
        assert_ne!(other.file(), note.file());
    }
}
