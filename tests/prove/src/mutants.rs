//! Faults that are put into the code of production on purpose: a search that misses one proves little.
//!
//! Each is a file in `mutants/`: what it breaks, where, and the words before and after. All of them are put into one copy of
//! this repository, each behind a switch, so that they are compiled once; `KUBE_IPAM_MUTANT` names the one that is on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A fault, as its file describes it.
#[derive(Clone, Debug)]
pub struct Mutant {
    pub name: String,
    /// What it breaks, in a few words.
    pub what: String,
    pub file: String,
    hunks: Vec<Hunk>,
}

/// Words of the file, and what stands in their place where the fault is on.
#[derive(Clone, Debug)]
pub struct Hunk {
    before: String,
    after: String,
}

/// How a mutant fared.
#[derive(Clone, Debug)]
pub struct Hunted {
    pub mutant: Mutant,
    /// Where it was found, after how many schedules, and by which broken promise.
    pub found: Option<String>,
    pub took: Duration,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All of them, by name.
pub fn all() -> Result<Vec<Mutant>, String> {
    let directory = root().join("tests/prove/mutants");
    let entries = std::fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut mutants = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        mutants.push(parse(name, &text).ok_or_else(|| format!("{} is not a mutant", path.display()))?);
    }
    mutants.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(mutants)
}

fn parse(name: String, text: &str) -> Option<Mutant> {
    let (head, _) = text.split_once("<<<<\n")?;
    let mut hunks = Vec::new();
    for hunk in text.split("<<<<\n").skip(1) {
        let (before, rest) = hunk.split_once("\n====\n")?;
        let (after, _) = rest.split_once(">>>>")?;
        hunks.push(Hunk { before: before.to_owned(), after: after.trim_end_matches('\n').to_owned() });
    }
    let field = |key: &str| head.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned());
    let (what, file) = (field("what:")?, field("file:")?);
    Some(Mutant { name, what, file, hunks })
}

/// Where the words of a mutant are in the file that it changes. An error where they are not there exactly once.
pub fn places(mutant: &Mutant) -> Result<Vec<usize>, String> {
    let (name, file) = (&mutant.name, &mutant.file);
    let text = std::fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
    let mut all = Vec::new();
    for hunk in &mutant.hunks {
        let mut places = text.match_indices(&hunk.before);
        match (places.next(), places.next()) {
            (Some((at, _)), None) => all.push(at),
            (None, _) => return Err(format!("{name}: {file} does not have its words any more: {}", hunk.before)),
            (Some(_), Some(_)) => return Err(format!("{name}: {file} has its words twice: {}", hunk.before)),
        }
    }
    Ok(all)
}

/// Write a copy of this repository with all mutants in it.
pub fn write(directory: &Path) -> Result<(), String> {
    let shown = |error: std::io::Error| format!("{}: {error}", directory.display());
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().map_err(shown)?;
    let mut changes: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
    for mutant in all()? {
        for (at, hunk) in places(&mutant)?.into_iter().zip(mutant.hunks) {
            let placed = Placed { at, name: mutant.name.clone(), hunk };
            changes.entry(mutant.file.clone()).or_default().push(placed);
        }
    }
    for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), directory.join(name));
        let Ok(mut bytes) = std::fs::read(&from) else { continue };
        if let Some(changes) = changes.remove(name) {
            let text = changed(&String::from_utf8_lossy(&bytes), changes)?;
            bytes = text.into_bytes();
        }
        match name {
            "host/limits/src/lib.rs" => bytes.extend_from_slice(SWITCH.as_bytes()),
            "tests/prove/Cargo.toml" => {
                let text = String::from_utf8_lossy(&bytes)
                    .replace("[[bin]]\nname = \"prove\"", "[[bin]]\nname = \"prove-mutants\"");
                bytes = text.into_bytes();
            }
            _ => {}
        }
        // What has not changed is left alone, so that it is not compiled again.
        if std::fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(shown)?;
        }
        std::fs::write(&to, bytes).map_err(shown)?;
    }
    Ok(())
}

/// The switch, in the crate that all others know.
const SWITCH: &str = r#"
/// Whether this fault is on.
pub fn mutant(name: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("KUBE_IPAM_MUTANT").ok()).as_deref() == Some(name)
}
"#;

/// A part of a mutant, and where it goes.
struct Placed {
    at: usize,
    name: String,
    hunk: Hunk,
}

fn changed(text: &str, mut changes: Vec<Placed>) -> Result<String, String> {
    changes.sort_by_key(|placed| (placed.at, placed.hunk.before.len()));
    let mut changed = String::with_capacity(text.len());
    let mut done = 0;
    let mut rest = changes.as_slice();
    while let Some(first) = rest.first() {
        if first.at < done {
            return Err(format!("{} overlaps another mutant", first.name));
        }
        // Several may change the same words.
        let here =
            rest.iter().take_while(|other| other.at == first.at && other.hunk.before == first.hunk.before).count();
        changed.push_str(&text[done..first.at]);
        let before = &first.hunk.before;
        let is_statement = before.trim_end().ends_with([';', '}']);
        if !is_statement {
            changed.push('(');
        }
        for Placed { name, hunk, .. } in &rest[..here] {
            changed.push_str(&format!("if limits::mutant({name:?}) {{ {} }} else ", hunk.after));
        }
        changed.push_str(&format!("{{ {before} }}"));
        if !is_statement {
            changed.push(')');
        }
        done = first.at + before.len();
        rest = &rest[here..];
    }
    changed.push_str(&text[done..]);
    Ok(changed)
}

/// Look for one mutant with a program that has all of them.
pub fn hunt(program: &Path, mutant: &Mutant, within: Duration) -> Result<Hunted, String> {
    let began = Instant::now();
    let output = Command::new(program)
        .args(["--hunt", "--seconds", &within.as_secs().to_string()])
        .env("KUBE_IPAM_MUTANT", &mutant.name)
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().find_map(|line| line.strip_prefix("found: ")).map(str::to_owned);
    Ok(Hunted { mutant: mutant.clone(), found, took: began.elapsed() })
}
