//! How often a shadow answered otherwise than the policy that decided: a few counters a node, in one small file. They
//! are worth no wait for a disk; when the power fails, some of the last are lost.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::lock::exclusively;
use files::{Replacement, Survives, Turn};
use ipam::{PolicyName, VerdictOrFault};
use limits::SHADOWS;

const FILE: &str = "shadow.json";

/// The file that a process locks while it counts. It is a file of its own, and not the directory, because any user who
/// may read a directory may lock it.
const LOCK: &str = "shadow.lock";

/// The policy of a network and its shadow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    pub network: String,
    /// The policy that decided.
    pub policy: PolicyName,
    /// The policy that was asked as well; without a digest where there was no module to ask.
    pub shadow: PolicyName,
}

/// How a shadow's answers compare with those of the policy. The answers that neither differed nor were faults were the
/// same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    #[serde(flatten)]
    pub pair: Pair,
    /// How often the shadow was asked.
    pub asked: u64,
    /// How often its answer was another one.
    pub differed: u64,
    /// How often it gave no answer, because of a fault.
    pub faulted: u64,
    /// The time of the first question.
    pub since: Timestamp,
    /// The time of the last question.
    pub until: Timestamp,
}

impl Tally {
    fn new(pair: Pair, now: Timestamp) -> Self {
        Self { pair, asked: 0, differed: 0, faulted: 0, since: now, until: now }
    }

    fn add(&mut self, decided: &VerdictOrFault, shadow: &VerdictOrFault, now: Timestamp) {
        self.asked += 1;
        match shadow {
            VerdictOrFault::Fault(_) => self.faulted += 1,
            answer if !answer.agrees_with(decided) => self.differed += 1,
            _ => {}
        }
        self.until = self.until.max(now);
    }
}

/// Count one answer of a shadow, in this directory.
pub fn count(
    directory: &Path,
    pair: Pair,
    (decided, shadow): (&VerdictOrFault, &VerdictOrFault),
    now: Timestamp,
    wait: Duration,
) -> io::Result<()> {
    if !directory.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let lock = open(&directory.join(LOCK))?;
    exclusively(&lock, Instant::now() + wait)?;
    // What cannot be read is begun again.
    let mut tallies = read(directory).unwrap_or_default();
    let known = tallies.iter().position(|tally| tally.pair == pair);
    let mut tally = known.map_or_else(|| Tally::new(pair, now), |nth| tallies.remove(nth));
    tally.add(decided, shadow, now);
    tallies.push(tally);
    let surplus = tallies.len().saturating_sub(SHADOWS);
    write(directory, &tallies[surplus..])
}

/// What is counted in this directory; the pair that was asked last comes last.
pub fn read(directory: &Path) -> io::Result<Vec<Tally>> {
    match files::read_regular(&directory.join(FILE), limits::store::NOTE) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// All of it or nothing, for whoever reads without the lock.
fn write(directory: &Path, tallies: &[Tally]) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(tallies)?;
    // A count may be lost with the machine; an ADD waits for no disk on its account.
    Replacement { mode: 0o600, survives: Survives::Kill, turn: Turn::Ours }
        .put(directory, FILE.as_ref(), |file| file.write_all(&text))
}

/// Never through a link, nor a pipe that would be waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags.bits() as i32);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use ipam::Refusal;

    fn pair(shadow: &str) -> Pair {
        let name = |name: &str| PolicyName { name: name.to_owned(), sha256: "ab".to_owned(), instead_of: None };
        Pair { network: "blue".to_owned(), policy: name("site"), shadow: name(shadow) }
    }

    fn answer(text: &str) -> VerdictOrFault {
        match text {
            "no" => VerdictOrFault::Refusal(Refusal::Denied("no".to_owned())),
            "full" => VerdictOrFault::Refusal(Refusal::Exhausted("full".to_owned())),
            _ => VerdictOrFault::Fault("broken".to_owned()),
        }
    }

    fn counted(directory: &Path, shadow: &str, decided: &str, answered: &str) {
        let wait = Duration::from_secs(20);
        count(directory, pair(shadow), (&answer(decided), &answer(answered)), Timestamp::UNIX_EPOCH, wait).unwrap();
    }

    #[test]
    fn answers_are_counted_by_what_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("made/when/needed");
        for (decided, answered) in [("no", "no"), ("no", "full"), ("no", "broken"), ("broken", "no")] {
            counted(&directory, "next", decided, answered);
        }
        counted(&directory, "other", "no", "no");
        let tallies = read(&directory).unwrap();
        let numbers: Vec<_> = tallies.iter().map(|tally| (tally.asked, tally.differed, tally.faulted)).collect();
        assert_eq!(numbers, [(4, 2, 1), (1, 0, 0)]);
        fs::write(directory.join(FILE), "{").unwrap();
        assert!(read(&directory).is_err());
        counted(&directory, "next", "no", "no");
        assert_eq!(read(&directory).unwrap()[0].asked, 1);
    }

    #[test]
    fn the_pair_that_was_asked_longest_ago_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        (0..=SHADOWS).for_each(|nth| counted(directory.path(), &format!("shadow-{nth}"), "no", "no"));
        counted(directory.path(), "shadow-1", "no", "no");
        let tallies = read(directory.path()).unwrap();
        assert_eq!(tallies.len(), SHADOWS);
        let name = |tally: Option<&Tally>| tally.unwrap().pair.shadow.name.clone();
        assert_eq!((name(tallies.first()), name(tallies.last())), ("shadow-2".to_owned(), "shadow-1".to_owned()));
    }

    #[test]
    fn counters_of_many_at_once_add_up() {
        let directory = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..25).for_each(|_| counted(directory.path(), "next", "no", "full")));
            }
        });
        let tallies = read(directory.path()).unwrap();
        assert_eq!((tallies.len(), tallies[0].asked, tallies[0].differed), (1, 200, 200));
    }

    #[test]
    fn a_lock_on_the_directory_keeps_nobody_from_counting() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let anybodys = File::open(directory.path()).unwrap();
        exclusively(&anybodys, Instant::now()).unwrap();
        count(directory.path(), pair("next"), (&answer("no"), &answer("no")), Timestamp::UNIX_EPOCH, Duration::ZERO)
            .unwrap();
        let mode = fs::metadata(directory.path().join(LOCK)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
