//! A disk that remembers what was written to it and when it was told to flush, and a file system on it.
//!
//! ```text
//!   kube-ipam ──► ext4 ──► /dev/loopN ──► one file of a FUSE file system ──► the log: Write, Write, Flush, Write, …
//! ```
//!
//! The built program refuses to keep its store on FUSE, for good reasons. So FUSE is not the file system but the disk below
//! one: the program meets a real ext4, with the kernel's own mappings, page cache and journal, and what a power cut takes
//! away is what it takes from a real machine: the sectors in the cache of the disk.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use kube_ipam_tests::leftovers;
use kube_ipam_tests::untested;
use tempfile::TempDir;

/// What the disk was told.
pub(crate) enum Order {
    Write { at: u64, bytes: Vec<u8> },
    Flush,
}

/// All that the disk was told, in order. Copies share it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Order>>>);

impl Log {
    /// How many orders there were so far.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// All of it, which is over.
    pub(crate) fn take(&self) -> Vec<Order> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn push(&self, order: Order) {
        self.0.lock().unwrap().push(order);
    }
}

/// The kinds of file system that are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ext4 as distributions make it.
    Journal,
    /// ext4 without its journal: after a cut, e2fsck puts together what was flushed.
    NoJournal,
}

impl Kind {
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Journal => "ext4",
            Self::NoJournal => "ext4 without a journal",
        }
    }
}

/// A mounted file system whose disk remembers.
pub(crate) struct Disk {
    pub(crate) log: Log,
    /// The disk as it was made.
    pub(crate) empty: Vec<u8>,
    directory: TempDir,
    /// Where the copies are: nothing is waited for there.
    memory: TempDir,
    device: String,
    session: Option<BackgroundSession>,
}

impl Disk {
    /// `None`, with a word, where there is neither FUSE nor a loop device (not root); in CI that is a failure.
    pub(crate) fn create(kind: Kind, mebibytes: u64) -> Option<Self> {
        if !Path::new("/dev/fuse").exists() || !Path::new("/dev/loop-control").exists() {
            untested("power cuts", "they need root, /dev/fuse and loop devices");
            return None;
        }
        let directory = leftovers::directory("power");
        let place = |name: &str| directory.path().join(name);
        for name in ["wire", "node"] {
            fs::create_dir(place(name)).unwrap();
        }
        let empty = make(kind, &place("image"), mebibytes << 20);
        let log = Log::default();
        let recorder = Recorder { content: Mutex::new(empty.clone()), log: log.clone() };
        let Ok(session) = fuser::spawn_mount(recorder, place("wire"), &Config::default()) else {
            untested("power cuts", "a FUSE file system cannot be mounted: it needs root");
            return None;
        };
        let found = output(&["losetup", "--find", "--show", place("wire/disk").to_str().unwrap()]);
        let Some(device) = found else {
            untested("power cuts", "there is no loop device: it needs root");
            return None;
        };
        let device = device.trim().to_owned();
        run(&["mount", "-o", "noatime", &device, place("node").to_str().unwrap()]);
        let memory = tempfile::Builder::new().prefix("kube-ipam-power-").tempdir_in("/dev/shm").unwrap();
        Some(Self { log, empty, directory, memory, device, session: Some(session) })
    }

    /// A directory on the file system, which is where it is in every copy.
    pub(crate) fn node(&self) -> PathBuf {
        self.directory.path().join("node")
    }

    /// A directory beside it.
    pub(crate) fn beside(&self) -> &Path {
        self.directory.path()
    }

    /// Mount what a cut left of the disk, as a machine does that starts again.
    pub(crate) fn restart(&self, kind: Kind, image: &[u8]) -> Remains {
        let file = self.memory.path().join("image");
        write_sparse(&file, image);
        if kind == Kind::NoJournal {
            let checked = Command::new("e2fsck").args(["-fy", file.to_str().unwrap()]).output().unwrap();
            // 1 and 2: errors were corrected. Without a journal there are always some.
            assert!(checked.status.code().is_some_and(|code| code <= 2), "{checked:?}");
        }
        let node = self.directory.path().join("remains");
        fs::create_dir_all(&node).unwrap();
        run(&["mount", "-o", "loop,noatime", file.to_str().unwrap(), node.to_str().unwrap()]);
        Remains { node }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = output(&["umount", self.node().to_str().unwrap()]);
        let _ = output(&["losetup", "--detach", &self.device]);
        if let Some(session) = self.session.take() {
            let _ = output(&["umount", "--lazy", self.directory.path().join("wire").to_str().unwrap()]);
            drop(session);
        }
    }
}

/// The file system after a cut.
pub(crate) struct Remains {
    pub(crate) node: PathBuf,
}

impl Drop for Remains {
    fn drop(&mut self) {
        run(&["umount", self.node.to_str().unwrap()]);
    }
}

/// An empty file system of this size.
fn make(kind: Kind, file: &Path, bytes: u64) -> Vec<u8> {
    File::create(file).unwrap().set_len(bytes).unwrap();
    let features = if kind == Kind::Journal { "has_journal" } else { "^has_journal" };
    run(&["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0", "-O", features, file.to_str().unwrap()]);
    let image = fs::read(file).unwrap();
    fs::remove_file(file).unwrap();
    image
}

/// A block that was never written to.
const NOTHING: [u8; 4096] = [0; 4096];

/// Where a disk was never written to, the file has no blocks.
fn write_sparse(file: &Path, image: &[u8]) {
    let _ = fs::remove_file(file);
    let written = File::create(file).unwrap();
    written.set_len(image.len() as u64).unwrap();
    for (nth, block) in image.chunks(4096).enumerate() {
        if block != NOTHING {
            written.write_all_at(block, nth as u64 * 4096).unwrap();
        }
    }
}

fn output(command: &[&str]) -> Option<String> {
    let output = Command::new(command[0]).args(&command[1..]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; apt-get install e2fsprogs mount"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file system with one file, the disk.
struct Recorder {
    content: Mutex<Vec<u8>>,
    log: Log,
}

const DISK: INodeNo = INodeNo(2);
const FOREVER: Duration = Duration::from_secs(1 << 30);

impl Recorder {
    fn attributes(&self, ino: INodeNo) -> FileAttr {
        let is_disk = ino == DISK;
        let size = if is_disk { self.content.lock().unwrap().len() as u64 } else { 0 };
        FileAttr {
            ino,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_disk { FileType::RegularFile } else { FileType::Directory },
            perm: if is_disk { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Recorder {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == "disk" {
            reply.entry(&FOREVER, &self.attributes(DISK), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOREVER, &self.attributes(ino));
    }

    /// Without the kernel's cache of the file: every order of the file system above comes here.
    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let content = self.content.lock().unwrap();
        let from = usize::try_from(offset).unwrap().min(content.len());
        let to = (from + size as usize).min(content.len());
        reply.data(&content[from..to]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let from = usize::try_from(offset).unwrap();
        self.content.lock().unwrap()[from..from + data.len()].copy_from_slice(data);
        self.log.push(Order::Write { at: offset, bytes: data.to_vec() });
        reply.written(u32::try_from(data.len()).unwrap());
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.log.push(Order::Flush);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}
