//! A full disk, of a few MiB: what is held can be released, and whoever asks is told what a claim would be told.

use std::fs::File;
use std::io::Write;

use super::errors::{claim, in_a_shell};
use super::*;
use crate::conformance::{block_on, requester};
use crate::{AllocationFilter, Store};

fn store(dir: &Path) -> Store {
    Store::new(Embedded::new(dir, None), "/test", "blue")
}

/// What STATUS and `doctor` ask.
fn ask(dir: &Path) -> [Result<(), StoreError>; 2] {
    let store = store(dir);
    [block_on(store.ping()), block_on(store.rehearse())]
}

/// Claims until there is no more room, and whoever holds something then.
fn fill(dir: &Path) -> (Vec<String>, StoreError) {
    let mut holders = Vec::new();
    for nth in 0..30_000 {
        let container = format!("c{nth}");
        match claim(dir, &container) {
            Ok(_) => holders.push(container),
            Err(error) => return (holders, error),
        }
    }
    panic!("the disk has no end");
}

/// Somebody else takes whatever is left.
fn leave_no_room(dir: &Path) {
    let mut filler = File::create(dir.join("filler")).unwrap();
    while filler.write_all(&[7; 4_096]).is_ok() {}
}

fn is_full(error: &StoreError) -> bool {
    let hint = error.hint().unwrap();
    matches!(error, StoreError::DiskFull { .. }) && hint.contains("df -h") && !hint.contains("etcd")
}

#[test]
#[ignore = "a part of the tests below"]
fn fill_and_empty() {
    let Some(dir) = std::env::var_os("STORE_DIR").map(PathBuf::from) else { return };
    let (holders, error) = fill(&dir);
    assert!(is_full(&error), "{error:?}");
    leave_no_room(&dir);
    for error in ask(&dir).map(Result::unwrap_err) {
        assert!(is_full(&error), "{error:?}");
    }
    // Each has a process of its own, and some keep their address for a while.
    for (nth, container) in holders.iter().enumerate() {
        let cooldown = (nth % 3 == 0).then_some(std::time::Duration::from_secs(60));
        let store = store(&dir).with_cooldown(cooldown);
        let attachment = requester(container, "").attachment;
        let released = block_on(store.release(&attachment, jiff::Timestamp::now()));
        assert!(matches!(&released, Ok(Some(_))), "{nth} of {}: {released:?}", holders.len());
    }
    let listing = block_on(store(&dir).allocations(&AllocationFilter::default()).all()).unwrap();
    assert!(listing.held.is_empty());
    ask(&dir).into_iter().for_each(Result::unwrap);
    claim(&dir, "next").unwrap();
    println!("all of {} released", holders.len());
}

#[test]
fn all_that_is_held_can_be_released_on_a_full_disk() {
    for mib in [2, 4] {
        let setup = format!("mount -t tmpfs -o size={mib}m none $STORE_DIR");
        in_a_shell(&setup, "full::fill_and_empty", "released");
    }
}

#[test]
#[ignore = "a part of the tests below"]
fn release_without_a_reserve() {
    let Some(dir) = std::env::var_os("STORE_DIR").map(PathBuf::from) else { return };
    let (holders, _) = fill(&dir);
    // As a version of before left it: nothing is reserved beyond the end of the file.
    let file = File::options().write(true).open(dir.join("ipam.mdb")).unwrap();
    file.set_len(file.metadata().unwrap().len()).unwrap();
    leave_no_room(&dir);
    for container in holders {
        match block_on(store(&dir).release(&requester(&container, "").attachment, jiff::Timestamp::now())) {
            Ok(released) => assert!(released.is_some()),
            Err(error) => assert!(is_full(&error), "{error:?}"),
        }
    }
    println!("each released, or told of this disk");
}

#[test]
fn where_nothing_was_reserved_the_message_is_about_this_disk() {
    in_a_shell("mount -t tmpfs -o size=3m none $STORE_DIR", "full::release_without_a_reserve", "told of this disk");
}

#[test]
#[ignore = "a part of the tests below"]
fn ask_and_claim() {
    let Some(dir) = std::env::var_os("STORE_DIR").map(PathBuf::from) else { return };
    let [ping, rehearsal] = ask(&dir);
    let claimed = claim(&dir, "c1");
    assert_eq!([ping.is_ok(), rehearsal.is_ok()], [claimed.is_ok(); 2], "{ping:?} {rehearsal:?} {claimed:?}");
    for error in
        [ping.err(), rehearsal.err(), claimed.as_ref().err().map(|_| file::disk_full(&dir, None))].into_iter().flatten()
    {
        assert!(is_full(&error), "{error:?}");
    }
    println!("a claim {}", if claimed.is_ok() { "works" } else { "is refused" });
}

/// The lock file, LMDB's first pages and what is kept for releases take 780 KiB.
#[test]
fn a_fresh_disk_says_before_what_a_claim_will_say() {
    for (kib, says) in [
        (8, "a claim is refused"),
        (400, "a claim is refused"),
        (776, "a claim is refused"),
        (780, "a claim works"),
        (784, "a claim works"),
        (4_096, "a claim works"),
    ] {
        in_a_shell(&format!("mount -t tmpfs -o size={kib}k none $STORE_DIR"), "full::ask_and_claim", says);
    }
}
