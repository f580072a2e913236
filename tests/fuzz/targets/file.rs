//! Any bytes as a file that somebody else has written: a journal of decisions, a result that libcni keeps. Each is read to its
//! end, or what is damaged is told; a panic is a finding, and so is a line of a journal that hides those behind it.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use kube_ipam::containers::Containers;
use kube_ipam::journal::lines::Lines;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static CACHE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary directory"));

fuzz_target!(|bytes: &[u8]| {
    read_journal(bytes);
    read_results(bytes);
});

fn read_journal(bytes: &[u8]) {
    let is_blank = |line: &&[u8]| line.trim_ascii().is_empty();
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).count();
    let read = Lines::new(bytes).map(|line| line.expect("memory is read without errors")).count();
    assert_eq!(read, lines, "every line is a decision or said to be damaged");
}

fn read_results(bytes: &[u8]) {
    let results = CACHE.path().join("results");
    fs::create_dir_all(&results).expect("a directory");
    let file: PathBuf = results.join("blue-c1-eth0");
    fs::write(file, bytes).expect("a file");
    if let Ok(containers) = Containers::read([CACHE.path()]) {
        let _ = containers.in_use();
    }
}
