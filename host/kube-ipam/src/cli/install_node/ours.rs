//! Which files of a node are ours: those that were installed by this program, as it installed them.
//!
//! `installed.json` in the data directory has the digest of each. A file that is not in it, or has changed since, belongs to
//! somebody else: it is neither replaced nor removed. Only the binary and the kubeconfig are ours by their name.
//!
//! A digest is noted before the file is put in its place: were it noted afterwards, a file whose installation was cut short
//! would be taken for somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::{self, Read, Seek};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::InstallError;
use super::obstacle::Obstacle;
use super::place::{Directory, Found};

/// The file in the data directory.
pub(super) const MANIFEST: &str = "installed.json";

/// What a file is for. They are removed in this order: first what makes a runtime call us, last what it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Part {
    Network,
    Kubeconfig,
    Credential,
    Policy,
    Link,
    Binary,
}

impl Part {
    /// Nobody else has a file of this name.
    fn is_ours_by_name(self) -> bool {
        matches!(self, Self::Kubeconfig | Self::Binary)
    }
}

/// A file as it was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Installed {
    pub(super) part: Part,
    /// The digests that make it ours: one, or two while it is being replaced; none once it was taken off the node.
    pub(super) digests: BTreeSet<String>,
    /// The networks in it. They are remembered after the file is gone, because their containers may still run.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) networks: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) files: BTreeMap<PathBuf, Installed>,
}

/// The manifest of a data directory. Without one nothing is noted, and every file is replaced.
#[derive(Debug)]
pub(super) struct Ours {
    data_dir: Option<PathBuf>,
}

/// How a file was put in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It was there already, as it should be.
    Unchanged,
    Installed,
    /// Its place has another file, which is not ours.
    Others(Obstacle),
}

/// A file that is to be installed.
pub(super) struct Wanted<'a> {
    pub(super) part: Part,
    pub(super) directory: &'a Directory,
    pub(super) name: &'a OsStr,
    pub(super) mode: u32,
    /// The networks in it.
    pub(super) networks: BTreeSet<String>,
}

impl Ours {
    /// Makes the data directory if need be, as an ADD would.
    pub(super) fn noted_in(data_dir: Option<&Path>) -> Result<Self, InstallError> {
        if let Some(path) = data_dir {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(|source| InstallError::NoDirectory { path: path.to_owned(), option: "--data-dir", source })?;
        }
        Ok(Self { data_dir: data_dir.map(Path::to_owned) })
    }

    pub(super) fn put(&self, wanted: &Wanted<'_>, content: &mut (impl Read + Seek)) -> Result<Put, InstallError> {
        let Wanted { part, directory, name, mode, networks } = wanted;
        if directory.has(name, *mode, content) {
            return Ok(Put::Unchanged);
        }
        let file = directory.file(name);
        let new = digest(content).map_err(|source| InstallError::Unwritable { path: file.clone(), source })?;
        let noted = self.read()?.files.remove(&file);
        let mut digests = noted.map(|noted| noted.digests).unwrap_or_default();
        match directory.find(name)? {
            Found::Nothing => {}
            _ if part.is_ours_by_name() => {}
            Found::File(found) if digests.contains(&found) => {}
            // As it should be, but for its mode: somebody else has put the very same file there.
            Found::File(found) if found == new => return Ok(Put::Unchanged),
            Found::File(_) | Found::Other => return Ok(Put::Others(of_others(&file))),
        }
        let mut installed = Installed { part: *part, digests: digests.clone(), networks: networks.clone() };
        installed.digests.insert(new.clone());
        self.note(&file, installed.clone())?;
        directory.put(name, *mode, content)?;
        digests = BTreeSet::from([new]);
        self.note(&file, Installed { digests, ..installed })?;
        Ok(Put::Installed)
    }

    /// A link to the binary, unless its place is taken.
    pub(super) fn link(&self, directory: &Directory, name: &OsStr, target: &Path) -> Result<Put, InstallError> {
        if directory.is_link_to(name, target) {
            return Ok(Put::Unchanged);
        }
        let file = directory.file(name);
        if !matches!(directory.find(name)?, Found::Nothing) {
            return Ok(Put::Others(of_others(&file)));
        }
        let digests = BTreeSet::from([of_link(target)]);
        self.note(&file, Installed { part: Part::Link, digests, networks: BTreeSet::new() })?;
        directory.link(name, target)?;
        Ok(Put::Installed)
    }

    /// Removes a file that is ours; what it was for stays noted.
    pub(super) fn remove(&self, file: &Path) -> Result<Removed, InstallError> {
        let Some(installed) = self.read()?.files.remove(file) else {
            // A file that was there before with the very same content was never noted.
            return Ok(if file.symlink_metadata().is_ok() { Removed::Others } else { Removed::Nothing });
        };
        let removed = remove_from(file, &installed)?;
        if removed == Removed::File {
            self.note(file, Installed { digests: BTreeSet::new(), ..installed })?;
        }
        Ok(removed)
    }

    pub(super) fn read(&self) -> Result<Manifest, InstallError> {
        let Some(data_dir) = &self.data_dir else { return Ok(Manifest::default()) };
        read_manifest(&data_dir.join(MANIFEST))
    }

    fn note(&self, file: &Path, installed: Installed) -> Result<(), InstallError> {
        let Some(data_dir) = &self.data_dir else { return Ok(()) };
        let directory = Directory::open(data_dir, "--data-dir")?;
        directory.change(MANIFEST.as_ref(), 0o600, || {
            let mut manifest = self.read()?;
            manifest.files.insert(file.to_owned(), installed);
            Ok(serde_json::to_vec_pretty(&manifest).unwrap_or_default())
        })
    }
}

/// How the removal of a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    File,
    Nothing,
    /// It is not as it was installed: somebody else has put it there.
    Others,
}

/// Removes what was installed as this file, if it still is that.
pub(super) fn remove_from(file: &Path, installed: &Installed) -> Result<Removed, InstallError> {
    let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else { return Ok(Removed::Nothing) };
    if !parent.is_dir() {
        return Ok(Removed::Nothing);
    }
    let directory = Directory::open(parent, "--root")?;
    let is_ours = match directory.find(name)? {
        Found::Nothing => return Ok(Removed::Nothing),
        Found::File(digest) => installed.digests.contains(&digest),
        Found::Other => directory.target(name).is_some_and(|target| installed.digests.contains(&of_link(&target))),
    };
    if !is_ours {
        return Ok(Removed::Others);
    }
    directory.remove(name)?;
    Ok(Removed::File)
}

/// What was noted; nothing where nothing was.
pub(super) fn read_manifest(file: &Path) -> Result<Manifest, InstallError> {
    match files::read_regular(file, limits::MANIFEST_BYTES) {
        Ok(text) => serde_json::from_slice(&text).map_err(|source| {
            let hint = "remove it, and the files that were installed, which are not known for ours without it";
            InstallError::unreadable(file, hint, source.into())
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Manifest::default()),
        Err(source) => Err(InstallError::unreadable(file, "make it readable for this process", source)),
    }
}

fn of_others(file: &Path) -> Obstacle {
    let why =
        "is not installed: another file has its place, which kube-ipam did not put there or somebody has changed since";
    let hint = "compare the two, then remove it from the node or choose another name";
    Obstacle::new(file, why, hint)
}

/// What is noted of a link in the place of a digest.
fn of_link(target: &Path) -> String {
    format!("link to {}", target.display())
}

pub(super) fn digest(content: &mut (impl Read + Seek)) -> io::Result<String> {
    content.rewind()?;
    let mut hash = Sha256::new();
    io::copy(content, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use super::*;

    fn put(ours: &Ours, directory: &Path, part: Part, content: &str) -> Put {
        let directory = Directory::open(directory, "--network-dir").unwrap();
        let wanted =
            Wanted { part, directory: &directory, name: "file".as_ref(), mode: 0o644, networks: BTreeSet::new() };
        ours.put(&wanted, &mut Cursor::new(content)).unwrap()
    }

    #[test]
    fn a_file_is_replaced_and_removed_only_as_it_was_installed() {
        let (data, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = Ours::noted_in(Some(data.path())).unwrap();
        let (file, put) = (place.path().join("file"), |content| put(&ours, place.path(), Part::Network, content));
        assert_eq!((put("first"), put("first")), (Put::Installed, Put::Unchanged));
        assert_eq!(put("second"), Put::Installed, "it is as we have left it");
        fs::write(&file, "by hand").unwrap();
        let Put::Others(obstacle) = put("third") else { panic!("it was overwritten") };
        assert!(obstacle.to_string().contains("/file: is not installed: another file"), "{obstacle}");
        assert_eq!(ours.remove(&file).unwrap(), Removed::Others);
        assert_eq!(fs::read_to_string(&file).unwrap(), "by hand");
        assert_eq!(put("by hand"), Put::Unchanged);

        fs::remove_file(&file).unwrap();
        assert_eq!((put("third"), ours.remove(&file).unwrap()), (Put::Installed, Removed::File));
        assert_eq!((file.exists(), ours.remove(&file).unwrap()), (false, Removed::Nothing));
        assert!(ours.read().unwrap().files.contains_key(&file), "what it was for stays known");

        let unnoted = place.path().join("theirs");
        assert_eq!(ours.remove(&unnoted).unwrap(), Removed::Nothing);
        fs::write(&unnoted, "theirs").unwrap();
        assert_eq!((ours.remove(&unnoted).unwrap(), unnoted.exists()), (Removed::Others, true));
    }

    #[test]
    fn a_file_of_somebody_else_stays_but_where_the_name_is_ours() {
        let (data, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = Ours::noted_in(Some(data.path())).unwrap();
        let file = place.path().join("file");
        for part in [Part::Network, Part::Credential, Part::Policy] {
            fs::write(&file, "theirs").unwrap();
            assert!(matches!(put(&ours, place.path(), part, "ours"), Put::Others(_)), "{part:?}");
            fs::remove_file(&file).unwrap();
            fs::create_dir(&file).unwrap();
            assert!(matches!(put(&ours, place.path(), part, "ours"), Put::Others(_)), "{part:?}: a directory");
            fs::remove_dir(&file).unwrap();
        }
        fs::write(&file, "theirs").unwrap();
        assert_eq!(put(&ours, place.path(), Part::Binary, "ours"), Put::Installed);
        // A link is replaced as well, and what it leads to is not touched.
        let elsewhere = place.path().join("elsewhere");
        fs::write(&elsewhere, "theirs").unwrap();
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert_eq!(put(&ours, place.path(), Part::Kubeconfig, "ours"), Put::Installed);
        assert!(!file.is_symlink() && fs::read_to_string(&elsewhere).unwrap() == "theirs");
    }

    #[test]
    fn a_link_is_made_where_there_is_nothing_and_removed_while_it_is_ours() {
        let (data, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = Ours::noted_in(Some(data.path())).unwrap();
        let directory = Directory::open(place.path(), "--link-dir").unwrap();
        let link = |target: &str| ours.link(&directory, "kube-ipam".as_ref(), Path::new(target)).unwrap();
        assert_eq!((link("/opt/a"), link("/opt/a")), (Put::Installed, Put::Unchanged));
        assert!(matches!(link("/opt/b"), Put::Others(_)));
        let file = place.path().join("kube-ipam");
        assert_eq!((ours.remove(&file).unwrap(), file.is_symlink()), (Removed::File, false));
        std::os::unix::fs::symlink("/elsewhere", &file).unwrap();
        assert!(matches!(link("/opt/a"), Put::Others(_)));
        assert!(file.is_symlink());
    }
}
