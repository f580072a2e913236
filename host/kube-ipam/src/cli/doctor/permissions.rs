//! Who else on this node could read or change what kube-ipam relies on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::check::Check;
use crate::cli::network::Opened;
use crate::config::Network;
use store::{EtcdConfig, StoreConfig};

/// What a file is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guarded {
    /// Whoever writes it decides what pods get.
    Writing,
    /// Whoever reads it can be us.
    Secret,
}

/// One line where all is well, and one for each file that is open to others. What does not exist is told elsewhere.
pub(super) fn permissions(opened: &Opened, network: Option<&Network>) -> Vec<Check> {
    let mut checks = Vec::new();
    let guarded = guarded(opened, network);
    for (path, role) in &guarded {
        checks.extend(judge(path, *role));
    }
    if checks.is_empty() {
        checks.push(Check::good(
            "permissions",
            "no other user can write the files of this network, or read its keys".to_owned(),
        ));
    }
    checks
}

fn guarded(opened: &Opened, network: Option<&Network>) -> Vec<(PathBuf, Guarded)> {
    use Guarded::{Secret, Writing};
    let mut guarded = vec![(PathBuf::from(&opened.found.file), Writing)];
    guarded.extend(std::env::current_exe().ok().map(|program| (program, Writing)));
    match &opened.base.store {
        StoreConfig::Embedded { dir } => {
            guarded.push((dir.clone(), Writing));
            guarded.push((dir.join("ipam.mdb"), Writing));
        }
        StoreConfig::Etcd(EtcdConfig { client, user, trusted_ca, notes, .. }) => {
            guarded.extend(client.iter().map(|client| (client.key.clone(), Secret)));
            guarded.extend(user.iter().map(|user| (user.password_file.clone(), Secret)));
            guarded.extend(trusted_ca.iter().chain(notes).map(|path| (path.clone(), Writing)));
        }
    }
    if let Some(network) = network {
        guarded.extend(network.policy.module.iter().map(|module| (module.clone(), Writing)));
        guarded.extend(network.kubernetes.iter().map(|kubernetes| (kubernetes.kubeconfig.clone(), Secret)));
    }
    guarded
}

fn judge(path: &Path, role: Guarded) -> Option<Check> {
    let metadata = fs::metadata(path).ok()?;
    let (mode, path) = (metadata.mode() & 0o7777, path.display());
    // In a directory with the sticky bit others may add files, and replace none.
    let is_sticky = metadata.is_dir() && mode & 0o1000 != 0;
    if mode & 0o002 != 0 && !is_sticky || mode & 0o020 != 0 && metadata.gid() != 0 {
        let detail =
            format!("{path} has mode {mode:04o}: other users can write it, and so decide which pod gets which address");
        return Some(Check::bad("permissions", detail, Some(format!("`chmod go-w {path}`"))));
    }
    let us = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != us {
        let detail = format!("{path} belongs to user {}, who can change it", metadata.uid());
        return Some(Check::bad("permissions", detail, Some(format!("`chown root {path}`"))));
    }
    if role == Guarded::Secret && (mode & 0o004 != 0 || mode & 0o040 != 0 && metadata.gid() != 0) {
        let detail = format!("{path} has mode {mode:04o}: other users can read it, and act in its name");
        return Some(Check::warning("permissions", detail, Some(format!("`chmod 600 {path}`"))));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::cli::doctor::check::Verdict;

    #[test]
    fn what_others_can_write_is_bad_and_what_they_can_read_is_told_of_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let judged = |mode: u32, role| {
            let file = directory.path().join("key");
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            judge(&file, role).map(|check| check.verdict)
        };
        assert_eq!(judged(0o666, Guarded::Secret), Some(Verdict::Bad));
        assert_eq!(judged(0o644, Guarded::Secret), Some(Verdict::Warning));
        assert_eq!(judged(0o600, Guarded::Secret), None);
        assert_eq!(judged(0o644, Guarded::Writing), None);
        let of_directory = |mode| {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            judge(directory.path(), Guarded::Writing).map(|check| check.verdict)
        };
        assert_eq!((of_directory(0o777), of_directory(0o1777), of_directory(0o755)), (Some(Verdict::Bad), None, None));
        assert_eq!(judge(&directory.path().join("absent"), Guarded::Secret).map(|check| check.verdict), None);
    }
}
