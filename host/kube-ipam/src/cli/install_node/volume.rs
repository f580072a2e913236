//! The files of a volume that Kubernetes makes from a ConfigMap or a Secret: links into a hidden directory, which is replaced
//! as a whole when the object changes.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::InstallError;

/// The files whose name passes, in order. An optional object that does not exist is an empty directory.
pub(super) fn files_in(
    directory: &Path,
    hint: &'static str,
    passes: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, InstallError> {
    list(directory, passes).map_err(|source| InstallError::unreadable(directory, hint, source))
}

fn list(directory: &Path, passes: impl Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        if !is_hidden(&file) && passes(&file) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn is_hidden(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether a name ends in one of these.
pub(super) fn ends_in(file: &Path, extensions: &[&str]) -> bool {
    let extension = file.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| extensions.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_a_volume_are_taken() {
        let volume = tempfile::tempdir().unwrap();
        let path = |name: &str| volume.path().join(name);
        fs::create_dir(path("..2026")).unwrap();
        fs::write(path("..2026/site.wasm"), "module").unwrap();
        std::os::unix::fs::symlink("..2026", path("..data")).unwrap();
        std::os::unix::fs::symlink("..data/site.wasm", path("site.wasm")).unwrap();
        fs::write(path(".hidden.wasm"), "").unwrap();
        fs::write(path("README"), "").unwrap();
        fs::create_dir(path("folder.wasm")).unwrap();
        let found = files_in(volume.path(), "", |file| ends_in(file, &["wasm"])).unwrap();
        assert_eq!(found, [path("site.wasm")]);
        assert!(files_in(&path("absent"), "mount it", |_| true).is_err());
    }
}
