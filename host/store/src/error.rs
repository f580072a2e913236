//! What can go wrong with the store.

use std::io;
use std::path::{Path, PathBuf};

use super::keys::FORMAT;
use super::moved::Moved;
use ipam::shown::first_of;
use limits::store::COMMANDS_TURN;

/// What finds out the rest, for hints.
const ASK_THE_DOCTOR: &str = "`kube-ipam doctor --network NETWORK` says what is wrong";

/// What shows whether that helped, for hints.
const ASK_AGAIN: &str = "`kube-ipam doctor --network NETWORK` shows whether that helped";

/// Why the store could not answer. Losing a race is not here: it is a value.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A record that does not say what its place says, or that nobody can read.
    #[error("the record {key} is damaged: {what}")]
    Damaged {
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// The time for the whole request was over before the commit; nothing was written.
    #[error("the request ran out of time before the address store could commit")]
    TooLate,
    /// Another process had the turn to write for as long as the request may take; nothing was written.
    #[error("another process has kept {} locked for writing for as long as this one may wait (ipam.timeout, or \
             {COMMANDS_TURN:?} for a command)", .path.display())]
    TurnTaken { path: PathBuf },
    /// Somebody else changed the same record at every attempt.
    #[error("{object} was changed by other processes during each of {attempts} attempts")]
    Contended {
        object: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The quota of etcd is used up.
    #[error("the address store at {place} is full")]
    Full { place: String },
    /// The disk of the embedded store is full, but for the blocks that are reserved for releases.
    #[error("the disk with the address store {} is full", .path.display())]
    DiskFull {
        path: PathBuf,
        /// What refused, where there is a source.
        #[source]
        source: Option<io::Error>,
    },
    /// A key longer than a store takes.
    #[error("the key {}… has {length} bytes; the limit is {limit}", .key.chars().take(80).collect::<String>())]
    KeyTooLong {
        key: String,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A file operation of the embedded store failed.
    #[error("cannot {doing} {path}")]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// `dataDir` is on a file system that machines share.
    #[error("{path} is on {kind}, and the embedded store needs a local file system")]
    NetworkFileSystem {
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The file is something else, or of another version.
    #[error("{path} is not an address store")]
    NotADatabase { path: PathBuf },
    /// The file cannot be mapped.
    #[error("cannot map {path}: {bytes} bytes of address space cannot be reserved")]
    AddressSpace {
        path: PathBuf,
        /// How much it takes.
        bytes: u64,
    },
    /// Every place for readers is taken.
    #[error("{path} is busy: {readers} processes read it")]
    Busy {
        path: PathBuf,
        /// How many places there are.
        readers: u32,
    },
    /// A file that etcd's configuration names cannot be used.
    #[error("{field} {path}: {what}")]
    Credentials {
        field: &'static str,
        /// The file it names.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No etcd member answered.
    #[error("etcd does not answer: {}", some(failures))]
    Unreachable {
        /// Each endpoint that was tried, and what happened.
        failures: Vec<String>,
    },
    /// etcd answered, and said no.
    #[error("etcd at {endpoint} refused to {doing}: {why}")]
    Refused { doing: &'static str, endpoint: String, why: String },
    /// The connection broke before etcd said whether it committed. Looking again finds out.
    #[error("etcd did not say whether it committed: {}", some(failures))]
    OutcomeUnknown {
        /// Each endpoint that was tried, and what happened.
        failures: Vec<String>,
    },
    /// etcd was compacted between two reads of one view.
    #[error("etcd compacted its history while it was being read")]
    Compacted,
    /// The records were written by a program that writes them in another way.
    #[error(
        "the records of network {network:?} are of format {found}, and this program knows format {FORMAT}: it leaves them alone"
    )]
    Format { network: String, found: u32 },
    /// The network's allocations are elsewhere.
    #[error(transparent)]
    Moved(Box<Moved>),
    /// A store of before that may still hold addresses, and cannot be read.
    #[error("cannot tell whether {} still holds addresses of network {network:?}, which may have kept them there before", .file.display())]
    Unreadable { file: PathBuf, network: String, source: Box<Self> },
    /// The store was opened by a program that only reads.
    #[error("this program only reads the address store: nothing was written")]
    ReadOnly,
    /// LMDB gave up for a reason that has no variant of its own.
    #[error("cannot {doing} {path}")]
    Embedded {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: heed::Error,
    },
}

impl StoreError {
    /// What to do next, a command where there is one. Commands are for `NETWORK`: whoever shows the hint knows its name.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Damaged { .. } => {
                "on the pod's node, `kube-ipam fsck --network NETWORK` shows what it should be and `kube-ipam fsck --repair \
                 --yes --network NETWORK` writes it; other pods are not affected"
                    .into()
            }
            Self::TooLate | Self::Contended { .. } | Self::Busy { .. } | Self::OutcomeUnknown { .. } => {
                format!("the runtime tries again; if that does not help, {ASK_THE_DOCTOR}")
            }
            Self::Compacted => {
                "a runtime tries again by itself; run a command again, and if that does not help, let etcd keep its \
                 history longer (--auto-compaction-retention, or any other job that compacts it)"
                    .into()
            }
            Self::TurnTaken { path } => format!(
                "the runtime tries again; a write takes milliseconds: `fuser -v {}` shows which process has the \
                 file open, for example one that was stopped",
                path.display()
            ),
            Self::Credentials { what, .. } if what.contains("expired") => format!(
                "renew the file, which is read at every call; if it should still be valid, compare this node's clock, `date \
                 -u`; {ASK_THE_DOCTOR}"
            ),
            Self::Credentials { .. } => format!("replace the file, which is read at every call; then {ASK_AGAIN}"),
            Self::Unreachable { failures } if failures.iter().any(|failure| is_of_a_clock(failure)) => format!(
                "a certificate is not valid at this node's time: compare the clock, `date -u`, with that of the members, or \
                 renew the certificate; {ASK_THE_DOCTOR}"
            ),
            Self::Unreachable { failures } if failures.iter().any(|failure| is_of_their_authority(failure)) => format!(
                "the certificate of etcd is of another authority than etcdConfig.etcdTrustedCAFileFile has: put that one's \
                 certificate into this file, which is read at every call; {ASK_AGAIN}"
            ),
            Self::Unreachable { failures } if failures.iter().any(|failure| is_of_our_certificate(failure)) => format!(
                "etcd does not accept the certificate of etcdConfig.etcdCertFile: it takes those of the authority that it was \
                 started with (--trusted-ca-file); replace the file, which is read at every call; {ASK_AGAIN}"
            ),
            Self::Unreachable { .. } => format!(
                "check that the etcd members are up and that etcdConfig.etcdURL and the certificate files match them; \
                 {ASK_THE_DOCTOR}"
            ),
            Self::Refused { why, .. } if why.contains("authentication failed") => format!(
                "correct etcdConfig.etcdUsername, or the password in the file of etcdConfig.etcdPasswordFile, which is read at \
                 every call; {ASK_AGAIN}"
            ),
            Self::Refused { why, .. } if why.contains("permission denied") => format!(
                "the role must allow reading and writing under etcdPrefix: `etcdctl role grant-permission ROLE readwrite \
                 PREFIX/ --prefix`; `etcdctl user get USER` shows the roles; {ASK_AGAIN}"
            ),
            Self::Refused { .. } => {
                format!("check the user, its role and etcd's request limits; {ASK_THE_DOCTOR}")
            }
            Self::Full { .. } => format!(
                "releases may still succeed; compact etcd, `etcdctl compact REVISION`, and defragment it, `etcdctl defrag`, or \
                 raise --quota-backend-bytes; then end the NOSPACE alarm, `etcdctl alarm disarm`; {ASK_THE_DOCTOR}"
            ),
            Self::DiskFull { path, .. } => {
                let dir = path.parent().unwrap_or(path).display();
                format!(
                    "free space on this node: `df -h {dir}` and `df -i {dir}` show what is left; the runtime tries again"
                )
            }
            Self::Format { found, .. } if *found > FORMAT => {
                "a newer kube-ipam wrote them, on another node or on this one before: install that version here".into()
            }
            Self::Format { .. } => {
                "an earlier kube-ipam wrote them, and can still release them: install that version again, or begin with an \
                 empty etcdPrefix (or dataDir) and learn of the pods that run; see \"When the store is lost\" in README.md"
                    .into()
            }
            Self::Moved(moved) => moved.hint(),
            Self::ReadOnly => "`kube-ipam --help` lists the commands that change records".into(),
            Self::Unreadable { source, .. } if source.is_transient() => {
                format!("the runtime tries again; if that does not help, {ASK_THE_DOCTOR}")
            }
            Self::Unreadable { .. } => {
                "containers on this node may have addresses from it: once none of them is running (`kube-ipam fsck \
                 --containers --network NETWORK`), move the file away"
                    .into()
            }
            Self::KeyTooLong { .. } => {
                "use shorter names for the network, the domain or etcdPrefix; `kube-ipam config check` reads the network's file"
                    .into()
            }
            Self::File { source, path, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                format!("the plugin runs as root; dataDir must belong to root: `ls -ld {}`", directory(path))
            }
            Self::File { source, path, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                let dir = directory(path);
                format!("its file system is mounted read-only, perhaps after an error: `findmnt -T {dir}` and `dmesg` say more")
            }
            Self::Embedded { path, source, .. } if is_damage(source) => replacing(path),
            Self::File { path, .. } | Self::Embedded { path, .. } => {
                format!("check dataDir and its disk: `ls -ld {dir}`, `df -h {dir}`; {ASK_THE_DOCTOR}", dir = directory(path))
            }
            Self::NetworkFileSystem { .. } => {
                "set dataDir to a local directory, or configure etcdConfig to share addresses between nodes".into()
            }
            Self::NotADatabase { path } => replacing(path),
            Self::AddressSpace { .. } => {
                "raise ulimit -v of the container runtime (systemd: LimitAS=infinity), and start it again".into()
            }
        })
    }

    /// Whether the same request may well succeed a moment later.
    pub fn is_transient(&self) -> bool {
        if let Self::Unreadable { source, .. } = self {
            return source.is_transient();
        }
        matches!(
            self,
            Self::TooLate
                | Self::TurnTaken { .. }
                | Self::Contended { .. }
                | Self::Busy { .. }
                | Self::Unreachable { .. }
                | Self::OutcomeUnknown { .. }
                | Self::Compacted
        )
    }
}

/// The first failures, as many as fit into an event with the names of the members, and how many there were besides.
fn some(failures: &[String]) -> String {
    first_of(failures, 3, "; ", String::clone)
}

/// The directory of a file, for a command that looks at it.
fn directory(path: &Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

/// Whether TLS refused a certificate for the time that this node believes it is.
fn is_of_a_clock(failure: &str) -> bool {
    ["not valid yet", "NotValidYet", "certificate expired", "Expired"].iter().any(|word| failure.contains(word))
}

/// Whether a certificate of a member is signed by another authority than we know; a new one of the same name may have been made.
fn is_of_their_authority(failure: &str) -> bool {
    ["UnknownIssuer", "BadSignature"].iter().any(|word| failure.contains(word))
}

/// Whether a member ended the connection for the certificate that it was shown.
fn is_of_our_certificate(failure: &str) -> bool {
    const ALERTS: [&str; 6] = [
        "BadCertificate",
        "UnknownCA",
        "CertificateUnknown",
        "CertificateRequired",
        "CertificateExpired",
        "AccessDenied",
    ];
    failure.contains("fatal alert") && ALERTS.iter().any(|alert| failure.contains(alert))
}

/// Whether LMDB says that the file itself is broken.
fn is_damage(error: &heed::Error) -> bool {
    use heed::MdbError::{Corrupted, PageNotFound, Panic};
    matches!(error, heed::Error::Mdb(Corrupted | PageNotFound | Panic))
}

/// How to begin again. With an empty store the addresses of the pods that run are free for others, so the store has to
/// learn of them before the first ADD.
fn replacing(file: &Path) -> String {
    format!(
        "if dataDir is the right directory: running pods still use their addresses, so before any new pod starts take the \
         network's file out of /etc/cni/net.d, move {file} away, run `kube-ipam fsck --containers --repair --conf \
         FILE` and put the network's file back; see \"When the store is lost\" in README.md",
        file = file.display()
    )
}
