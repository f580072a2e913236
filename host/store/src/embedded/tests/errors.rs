//! Whatever is wrong with the path, the file, the disk or a limit is told by name, with a way out, and never a panic.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::*;
use crate::conformance::{Bench, block_on, dynamic, requester};
use crate::map::Map;
use crate::{Claimed, Store};
use untested::untested;

pub(super) fn claim(dir: &Path, container: &str) -> Result<Claimed, StoreError> {
    block_on(async {
        let bench = Bench::with_prefix(Embedded::new(dir, None), &["10.0.0.0/16"], "/test".into());
        let who = requester(container, "");
        let mut look = bench.store.look_up(&who, &bench.sets, &[], bench.tick()).await?;
        let address = bench.next_free(&mut look, 0, None).await.unwrap();
        bench.store.claim(look, &[vec![dynamic(&address.to_string())]], None, &[]).await
    })
}

#[test]
fn reading_before_the_first_claim_creates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/b");
    let store = Store::new(Embedded::new(&data, None), "", "blue");
    let attachment = requester("one", "").attachment;
    block_on(async {
        assert_eq!(store.held_by(&attachment).await.unwrap(), None);
        assert_eq!(store.release(&attachment, jiff::Timestamp::now()).await.unwrap(), None);
        store.ping().await.unwrap();
    });
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_directory_is_roots_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/b");
    claim(&data, "one").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("ipam.mdb"))), (0o700, 0o600));
}

/// Whoever may open the file may lock it.
#[test]
fn files_that_others_could_open_are_made_roots_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    claim(dir.path(), "one").unwrap();
    let files = ["ipam.mdb", "ipam.mdb-lock"].map(|name| dir.path().join(name));
    for file in &files {
        fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap();
    }
    claim(dir.path(), "two").unwrap();
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
}

/// Not even who may open the file, which a program that writes puts right by the way.
#[test]
fn a_store_that_is_opened_to_read_refuses_every_change_and_leaves_the_file_as_it_is() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let dir = tempfile::tempdir().unwrap();
    claim(dir.path(), "one").unwrap();
    let file = dir.path().join("ipam.mdb");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let at_rest = || {
        let metadata = fs::metadata(&file).unwrap();
        (fs::read(&file).unwrap(), metadata.mode(), metadata.blocks(), metadata.modified().unwrap())
    };
    let before = at_rest();
    let bench = Bench::with_prefix(
        Map::ReadOnly(Box::new(Embedded::read_only(dir.path()).into())),
        &["10.0.0.0/16"],
        "/test".into(),
    );
    let store = &bench.store;
    block_on(async {
        let attachment = requester("one", "").attachment;
        assert!(store.held_by(&attachment).await.unwrap().is_some());
        let refused = [
            store.release(&attachment, bench.tick()).await.map(drop),
            store.ping().await,
            store.rehearse().await,
            store.register("blue", &bench.sets).await,
        ];
        assert!(refused.iter().all(|refused| matches!(refused, Err(StoreError::ReadOnly))), "{refused:?}");
        let two = requester("two", "");
        let look = store.look_up(&two, &bench.sets, &[], bench.tick()).await.unwrap();
        let claimed = store.claim(look, &[vec![dynamic("10.0.0.9")]], None, &[]).await;
        assert!(matches!(claimed, Err(StoreError::ReadOnly)));
    });
    drop(bench);
    assert!(at_rest() == before);
}

#[test]
fn a_pipe_in_the_place_of_the_file_is_named_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("ipam.mdb");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let error = ipam::shown::joined(&claim(dir.path(), "one").unwrap_err());
    assert_eq!(error, format!("cannot open {}: it is not a regular file", pipe.display()));
}

#[test]
fn a_file_that_is_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ipam.mdb");
    for content in [b"hello".repeat(4_000), vec![0; 8_192]] {
        fs::write(&file, &content).unwrap();
        let error = claim(dir.path(), "one").unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not an address store", file.display()));
        let hint = error.hint().unwrap();
        assert!(hint.contains("dataDir") && hint.contains("fsck --containers --repair"), "{hint}");
        assert_eq!(fs::read(&file).unwrap(), content);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let error = claim(dir.path(), "one").unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open {}", file.display()));
}

#[test]
fn a_data_dir_that_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let data = dir.path().join("file/data");
    let error = claim(&data, "one").unwrap_err();
    assert!(error.to_string().contains(&dir.path().join("file").display().to_string()), "{error}");
    assert!(claim(Path::new("/proc/kube-ipam"), "one").is_err());
}

#[test]
fn a_key_longer_than_a_page_takes_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let error = claim(dir.path(), &"x".repeat(2_000)).unwrap_err();
    assert!(matches!(error, StoreError::KeyTooLong { limit: 1_900, .. }), "{error}");
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn nothing_is_committed_after_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(Embedded::new(dir.path(), Some(Instant::now())), &["10.0.0.0/24"]);
    block_on(async {
        let look = bench.look(&requester("one", ""), &[]).await;
        let error = bench.store.claim(look, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap_err();
        assert!(matches!(error, StoreError::TooLate));
        assert_eq!(bench.holder_of("10.0.0.2").await, None);
    });
}

#[test]
fn a_file_that_outgrew_the_map_is_opened_again() {
    let (map, _alive) = fresh();
    block_on(async {
        let mut change = Change::default();
        change.put("first".into(), "x");
        map.commit(&[change]).await.unwrap();
        let value = vec![7; 1 << 20];
        // Past the 256 MiB this process mapped at first.
        for nth in 0..300 {
            let mut change = Change::default();
            change.put(format!("large/{nth:03}"), value.clone());
            assert_eq!(map.commit(&[change]).await.unwrap(), Commit::Done(0));
        }
        let range = KeyRange { from: "large/".into(), to: "large0".into() };
        let pages = map.view().await.unwrap().read(&[Read::Count(range), Read::Get("first".into())]).await.unwrap();
        assert_eq!((pages[0].count, pages[1].entries.len()), (300, 1));
    });
}

/// What most of the cases below do.
const CLAIM: &str = "errors::a_claim_in_the_directory_of_the_environment";

/// The cases below need their own mounts or limits: a shell sets them up and starts this test binary again.
pub(super) fn in_a_shell(setup: &str, part: &str, expectation: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("{setup} && exec \"$0\" --exact \"$1\" --ignored --nocapture --test-threads=1");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("embedded::tests::{part}"))
        .env("STORE_DIR", dir.path())
        .output()
        .unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if told.contains("unshare failed") || told.contains("must be superuser") || told.contains("permission denied") {
        untested(setup, &told);
        return;
    }
    assert!(output.status.success(), "{:?}: {told}", output.status);
    let expectation = expectation.replace("DIR", &dir.path().display().to_string());
    assert!(told.contains(&expectation), "expected {expectation:?} in {told}");
}

#[test]
#[ignore = "a part of the tests below"]
fn a_claim_in_the_directory_of_the_environment() {
    let Ok(dir) = std::env::var("STORE_DIR") else { return };
    if let Err(error) = file::refuse_shared(Path::new(&dir)) {
        println!("{error}; {}", error.hint().unwrap());
        return;
    }
    let claims = if std::env::var("STORE_CLAIMS").is_ok() { 1 } else { 4_000 };
    for nth in 0..claims {
        if let Err(error) = claim(Path::new(&dir), &format!("{}-{nth}", std::process::id())) {
            println!("{error}: {:?}; {}", std::error::Error::source(&error), error.hint().unwrap());
            let store = Store::new(Embedded::new(Path::new(&dir), None), "/test", "blue");
            println!("ping: {:?}", block_on(store.ping()).is_ok());
            println!("list: {:?}", block_on(store.allocations(&crate::AllocationFilter::default()).all()).is_ok());
            return;
        }
    }
    println!("no error");
}

#[test]
fn a_full_disk_is_an_error_and_not_a_signal() {
    for kib in [4, 64, 300, 400, 2_000] {
        in_a_shell(&format!("mount -t tmpfs -o size={kib}k none $STORE_DIR"), CLAIM, "is full");
    }
}

#[test]
fn a_read_only_file_system_can_be_read() {
    in_a_shell("mount -t tmpfs -o ro none $STORE_DIR", CLAIM, "cannot open DIR/ipam.mdb");
    let filled = "mount -t tmpfs none $STORE_DIR && (STORE_CLAIMS=1 \"$0\" --exact \"$1\" --ignored >/dev/null) \
                  && mount -o remount,ro $STORE_DIR";
    in_a_shell(filled, CLAIM, "list: true");
}

#[test]
fn too_little_address_space_is_named() {
    in_a_shell("ulimit -v 200000", CLAIM, "cannot map DIR/ipam.mdb: 268435456 bytes of address space");
}

/// A FUSE mount without a server answers statfs(2) to those who may not use it; the number says what it is.
#[test]
fn a_file_system_that_machines_share_is_refused_by_name() {
    let mount = "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=1,group_id=1 none $STORE_DIR";
    in_a_shell(
        mount,
        CLAIM,
        "DIR is on FUSE, and the embedded store needs a local file system; set dataDir to a local",
    );
    for (number, kind) in [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0x0102_1997, "9p")] {
        let error = file::refuse_number(Path::new("/srv/data"), number).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("/srv/data is on {kind}, and the embedded store needs a local file system")
        );
    }
    // ext4, XFS, Btrfs, tmpfs, overlay
    for number in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
        file::refuse_number(Path::new("/srv/data"), number).unwrap();
    }
}
