//! The cache of compiled modules: a module is compiled once, and a cache that somebody else could have written is not believed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use engine::{Compiler, Outcome, Policy, Source, inspect};
use hostile::{Site, request, snapshot};
use ipam::Verdict;
use kube_ipam_tests::guest::Guest;
use limits::Limits;

fn good() -> Vec<u8> {
    Guest::named("good").module()
}

fn works(site: &Site) {
    let policy = site.policy("good", &good()).unwrap();
    let outcome = policy.allocate(&request(), "{}", &snapshot()).unwrap();
    assert!(matches!(outcome, Outcome::Verdict(Verdict::Propose(_))), "{outcome:?}");
}

/// Load once, do something to the cache, load again: whether the second time the entry was replaced.
fn is_replaced_after(change: impl FnOnce(&Path)) -> bool {
    let site = Site::new();
    works(&site);
    let entry = site.cached();
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let file = fs::File::open(&entry).unwrap();
    file.set_modified(yesterday).unwrap();
    drop(file);
    change(&entry);
    works(&site);
    fs::metadata(site.cached()).unwrap().modified().unwrap() > yesterday + Duration::from_secs(1)
}

#[test]
fn a_module_is_compiled_once() {
    assert!(!is_replaced_after(|_| ()));
}

#[test]
fn the_cache_is_for_its_owner_only() {
    let site = Site::new();
    works(&site);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&site.cache_dir()), 0o700);
    assert_eq!(mode(&site.cached()), 0o400);
}

#[test]
fn a_flipped_byte_is_a_miss() {
    for at in [0, 100, 4_000, 8_000] {
        assert!(is_replaced_after(|entry| {
            let mut bytes = fs::read(entry).unwrap();
            bytes[at] ^= 1;
            fs::remove_file(entry).unwrap();
            fs::write(entry, bytes).unwrap();
            fs::set_permissions(entry, Permissions::from_mode(0o400)).unwrap();
        }));
    }
}

#[test]
fn a_truncated_entry_is_a_miss() {
    for length in [0, 3, 1_000] {
        assert!(is_replaced_after(|entry| {
            fs::set_permissions(entry, Permissions::from_mode(0o600)).unwrap();
            fs::File::options().write(true).open(entry).unwrap().set_len(length).unwrap();
        }));
    }
}

#[test]
fn a_symbolic_link_is_a_miss() {
    assert!(is_replaced_after(|entry| {
        let elsewhere = entry.with_extension("elsewhere");
        fs::rename(entry, &elsewhere).unwrap();
        symlink(elsewhere, entry).unwrap();
    }));
}

#[test]
fn a_hard_link_is_a_miss() {
    assert!(is_replaced_after(|entry| fs::hard_link(entry, entry.with_extension("other")).unwrap()));
}

#[test]
fn a_group_writable_entry_is_a_miss() {
    assert!(is_replaced_after(|entry| fs::set_permissions(entry, Permissions::from_mode(0o420)).unwrap()));
}

#[test]
fn an_entry_under_a_foreign_name_is_not_found() {
    assert!(is_replaced_after(|entry| fs::rename(entry, entry.with_file_name("0000.elsewhere")).unwrap()));
}

#[test]
fn a_foreign_entry_is_a_miss() {
    if !untested::is_root("a foreign entry of the cache") {
        return;
    }
    assert!(is_replaced_after(|entry| std::os::unix::fs::chown(entry, Some(65_534), None).unwrap()));
}

/// Somebody else could have put anything there: it is neither read nor written, and the policy works all the same.
#[test]
fn a_directory_open_to_others_is_not_used() {
    let site = Site::new();
    works(&site);
    let entry = site.cached();
    fs::remove_file(&entry).unwrap();
    fs::set_permissions(site.cache_dir(), Permissions::from_mode(0o770)).unwrap();
    works(&site);
    assert!(!entry.exists());
}

#[test]
fn a_directory_behind_a_symbolic_link_is_not_used() {
    let site = Site::new();
    let elsewhere = site.cache_dir().with_extension("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::set_permissions(&elsewhere, Permissions::from_mode(0o700)).unwrap();
    symlink(&elsewhere, site.cache_dir()).unwrap();
    works(&site);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn a_cache_that_cannot_be_made_costs_time_only() {
    let site = Site::new();
    fs::write(site.cache_dir(), "a file").unwrap();
    works(&site);
}

#[test]
fn many_at_once_all_succeed_and_leave_one_entry() {
    let site = Site::new();
    let path = site.install("good", &good());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| site.load(&path, None).unwrap().describe().unwrap());
        }
    });
    site.cached();
}

/// STATUS may wait for a few seconds in all, not for a few seconds each.
#[test]
fn whoever_waits_while_another_compiles_has_no_time_of_its_own_left() {
    let mut site = Site::new();
    works(&site);
    let lock = fs::File::create(site.cache_dir().join("lock")).unwrap();
    lock.lock().unwrap();
    site.limits.set("compileSeconds", 1).unwrap();
    let error = site.policy("other", &Guest::named("unreachable").module()).err().unwrap();
    assert!(error.to_string().contains("took too long to compile: the limit is 1 s"), "{error}");
    works(&site);
    lock.unlock().unwrap();
    site.policy("other", &Guest::named("unreachable").module()).unwrap();
}

#[test]
fn old_entries_go_when_there_are_too_many() {
    let site = Site::new();
    works(&site);
    for nth in 0..40 {
        fs::write(site.cache_dir().join(format!("{nth}.cwasm")), "old").unwrap();
    }
    site.policy("other", &Guest::named("unreachable").module()).unwrap();
    assert!(fs::read_dir(site.cache_dir()).unwrap().count() <= 34);
}

/// How long after a change a module file becomes known; see `policy::file`.
const SETTLED: Duration = Duration::from_secs(3);

/// A module that was loaded so often that the cache has a note of it.
fn known() -> (Site, PathBuf) {
    let site = Site::new();
    let path = site.install("good", &good());
    std::thread::sleep(SETTLED);
    for _ in 0..2 {
        assert!(!is_mapped(&site, &site.load(&path, None).unwrap()), "compiled, then read whole");
    }
    (site, path)
}

fn note(site: &Site) -> PathBuf {
    let mut entries = fs::read_dir(site.cache_dir()).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.extension().is_some_and(|end| end == "known")).unwrap()
}

/// Whether the code of this policy is mapped from the cache.
fn is_mapped(site: &Site, _alive: &Policy) -> bool {
    fs::read_to_string("/proc/self/maps").unwrap().contains(&site.cached().display().to_string())
}

#[test]
fn the_code_of_a_module_that_is_known_is_mapped() {
    let (site, path) = known();
    let policy = site.load(&path, None).unwrap();
    assert!(is_mapped(&site, &policy));
    let outcome = policy.allocate(&request(), "{}", &snapshot()).unwrap();
    assert!(matches!(outcome, Outcome::Verdict(Verdict::Propose(_))), "{outcome:?}");
    let (limits, compiler) = (Limits::default(), Compiler::InProcess);
    let source = Source { module: Some(&path), sha256: None, cache_dir: None, limits, compiler, deadline: None };
    assert_eq!(policy.name().sha256, inspect::inspect(&source).unwrap().sha256.unwrap());
}

#[test]
fn a_known_module_that_changes_is_noticed_whatever_its_size_and_time() {
    let (site, path) = known();
    let (mut module, modified) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let text = b"a hostile guest";
    let at = module.windows(text.len()).position(|window| window == text).unwrap();
    module[at + text.len() - 5] = b'q';
    fs::write(&path, module).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(site.load(&path, None).unwrap().describe().unwrap().summary, "a hostile quest");
}

#[test]
fn what_is_known_is_compared_with_the_pin() {
    let (site, path) = known();
    let sha256 = site.load(&path, None).unwrap().name().sha256.clone();
    site.load(&path, Some(&sha256)).unwrap();
    let error = site.load(&path, Some(&"0".repeat(64))).err().unwrap().to_string();
    assert!(error.contains("is not the pinned one") && error.contains(&sha256), "{error}");
}

#[test]
fn the_code_of_a_known_module_is_checked_again_when_it_changes() {
    let (site, path) = known();
    let entry = site.cached();
    let mut bytes = fs::read(&entry).unwrap();
    bytes[4_000] ^= 1;
    fs::remove_file(&entry).unwrap();
    fs::write(&entry, &bytes).unwrap();
    fs::set_permissions(&entry, Permissions::from_mode(0o400)).unwrap();
    let policy = site.load(&path, None).unwrap();
    assert!(!is_mapped(&site, &policy));
    policy.describe().unwrap();
    assert_ne!(fs::read(&entry).unwrap(), bytes, "compiled again");
}

#[test]
fn a_note_that_is_damaged_or_open_to_others_is_not_believed() {
    for (damage, mode) in [(true, 0o400), (false, 0o420)] {
        let (site, path) = known();
        let note = note(&site);
        let mut bytes = fs::read(&note).unwrap();
        bytes[3] ^= u8::from(damage);
        fs::remove_file(&note).unwrap();
        fs::write(&note, bytes).unwrap();
        fs::set_permissions(&note, Permissions::from_mode(mode)).unwrap();
        assert!(!is_mapped(&site, &site.load(&path, None).unwrap()));
        assert!(is_mapped(&site, &site.load(&path, None).unwrap()), "it was written again");
    }
}

/// Replace a cache entry by other code with a checksum that fits.
fn sealed(entry: &Path, code: &[u8]) {
    let bytes = [code, &crc32fast::hash(code).to_le_bytes()].concat();
    fs::remove_file(entry).unwrap();
    fs::write(entry, bytes).unwrap();
    fs::set_permissions(entry, Permissions::from_mode(0o400)).unwrap();
}

#[test]
fn code_made_under_other_settings_is_a_miss() {
    assert!(is_replaced_after(|entry| {
        let engine = wasmtime::Engine::new(wasmtime::Config::new().wasm_component_model(true)).unwrap();
        sealed(entry, &engine.precompile_component(&good()).unwrap());
    }));
}

#[test]
fn code_made_by_another_version_is_a_miss() {
    assert!(is_replaced_after(|entry| {
        let mut code = fs::read(entry).unwrap();
        code.truncate(code.len() - 4);
        let version = code.windows(3).position(|bytes| bytes == b"\x0248").expect("wasmtime's version, by its length");
        code[version + 2] = b'7';
        sealed(entry, &code);
    }));
}

/// A run of it would need more fuel than there is.
#[test]
fn a_known_module_is_not_asked_again_which_annotations_it_reads() {
    let (mut site, path) = known();
    site.limits.fuel = 1;
    let policy = site.load(&path, None).unwrap();
    assert!(policy.describe().is_err());
    let reads = policy.annotations().unwrap();
    assert!(reads.contains(&"kube-ipam.ip".to_owned()), "{reads:?}");
    fs::remove_file(note(&site)).unwrap();
    assert!(site.load(&path, None).unwrap().annotations().is_err());
}
