//! Three in the morning: a pod hangs in ContainerCreating. Each fault is made with real parts. Then the error of the ADD, or
//! `doctor`, names the cause, and what its hint says is taken from it and done, with nothing filled in but what only the operator
//! can know. After that an ADD works.
//!
//! [`faults`] is the table of docs/operating.md, which is written by it. The stories of the faults are in the modules below.

mod access;
mod annotations;
mod apiserver;
mod disk;
mod etcd;
mod faults;
mod holders;
mod node;
mod policy;
mod ranges;
mod scene;
mod store;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use By::{Add, Doctor};
use faults::FAULTS;
use kube_ipam_tests::Answer;
use scene::Scene;
use serde_json::Value;

/// Who names a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The error of an ADD, with this code.
    Add(u64),
    /// A check of `doctor`.
    Doctor(&'static str),
}
/// A fault, who names it, in which words among others, and how the hint begins to say what to do.
#[derive(Debug)]
struct Fault(&'static str, By, &'static str, &'static str);

/// What an operator is told.
struct Told<'a> {
    scene: &'a Scene,
    fault: &'static Fault,
    message: String,
    hint: String,
}

/// The fault of this name.
fn fault(name: &str) -> &'static Fault {
    FAULTS.iter().find(|fault| fault.0 == name).unwrap_or_else(|| panic!("{name:?} is not in the table"))
}

impl Fault {
    /// What an ADD says of it: the code, the words and the hint of the table.
    fn named<'a>(&'static self, scene: &'a Scene, answer: &Answer) -> Told<'a> {
        assert!(answer.status.is_some_and(|status| status != 0), "{}: {answer:?}", self.0);
        let error = answer.json();
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let told = Told { scene, fault: self, message: text("msg"), hint: text("details") };
        assert_eq!(self.1, Add(error["code"].as_u64().unwrap()), "{}: {}", self.0, told.both());
        told.checked()
    }

    /// What doctor says of it.
    fn diagnosed<'a>(&'static self, scene: &'a Scene) -> Told<'a> {
        let Doctor(name) = self.1 else { panic!("{} is named by an ADD", self.0) };
        self.said_by(scene, name).checked()
    }

    /// The check of this name that is not well, be it the one of the table or one that a hint led to.
    fn said_by<'a>(&'static self, scene: &'a Scene, name: &str) -> Told<'a> {
        let checks = scene.doctor();
        let is_it = |check: &&Value| check["name"] == name && check["verdict"] != "good";
        let check = checks.iter().find(is_it).unwrap_or_else(|| panic!("{}: {name} is well: {checks:#?}", self.0));
        let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        Told { scene, fault: self, message: text("detail"), hint: text("hint") }
    }
}

impl Told<'_> {
    fn both(&self) -> String {
        format!("{}\n  hint: {}", self.message, self.hint)
    }

    fn checked(self) -> Self {
        let Fault(name, _, words, remedy) = self.fault;
        // A hint may explain, too: that a range is full says nothing of what fills it.
        assert!(self.both().contains(words), "{name}: {words:?} is missing in {}", self.both());
        assert!(self.hint.contains(remedy), "{name}: {remedy:?} is missing in {}", self.both());
        assert!(!self.hint.contains("NETWORK"), "{name}: a command without its network: {}", self.hint);
        self
    }

    /// The command between backticks that begins like this.
    fn command(&self, begins: &str) -> String {
        let mut commands = self.hint.split('`').skip(1).step_by(2);
        let found = commands.find(|command| command.starts_with(begins));
        found.unwrap_or_else(|| panic!("no command {begins} in {}", self.both())).to_owned()
    }

    /// Type the command of the table, with these words filled in. Returns what it prints; it has to succeed.
    fn type_in(&self, filled: &[(&str, &str)]) -> String {
        self.type_other(self.fault.3, filled)
    }

    /// The same with another command of the hint.
    fn type_other(&self, begins: &str, filled: &[(&str, &str)]) -> String {
        let (status, told) = self.try_other(begins, filled);
        assert_eq!(status, Some(0), "{}: {begins}: {told}", self.fault.0);
        told
    }

    fn try_other(&self, begins: &str, filled: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = self.command(begins);
        for (word, value) in filled {
            assert!(command.contains(word), "{word} is not in {command}");
            command = command.replace(word, value);
        }
        self.scene.type_in(&command)
    }

    /// What stands behind these words in the hint, up to a blank; without quotes and punctuation.
    fn word_after(&self, words: &str) -> String {
        word_after(&self.hint, words)
    }
}

fn word_after(text: &str, words: &str) -> String {
    let rest = text.split(words).nth(1).unwrap_or_else(|| panic!("{words:?} is not in {text}"));
    rest.split_whitespace().next().unwrap().trim_matches(['"', ';', ',', '?', ':', '`', ')']).to_owned()
}

/// The commands of ours between backticks or at the end of lines, for what a command prints.
fn commands_in(printed: &str) -> Vec<String> {
    let quoted = printed.split('`').skip(1).step_by(2);
    quoted.filter(|piece| piece.starts_with("kube-ipam ")).map(str::to_owned).collect()
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
const BEGIN: &str = "<!-- faults, written by a test: INSTA_UPDATE=always -->\n";
const END: &str = "<!-- end of the faults -->\n";

fn table() -> String {
    let mut table =
        "| what is wrong | who says so | in these words | what the hint says |\n|---|---|---|---|\n".to_owned();
    for Fault(name, by, words, remedy) in &FAULTS {
        let by = match by {
            Add(code) => format!("the ADD, {code}"),
            Doctor(check) => format!("`doctor`, {check}"),
        };
        let is_command = ["kube-ipam ", "kubectl ", "etcdctl ", "chmod ", "df ", "date ", "findmnt "];
        let is_typed = is_command.iter().any(|begin| remedy.starts_with(begin));
        let remedy = if is_typed { format!("`{remedy} …`") } else { format!("{} …", remedy.trim()) };
        table.push_str(&format!("| {name} | {by} | {} | {remedy} |\n", words.trim()));
    }
    table
}

/// What the page says of faults is what the stories prove.
#[test]
fn the_page_has_every_fault_and_who_names_it() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        fs::write(PAGE, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert!(written == table(), "docs/operating.md: run with INSTA_UPDATE=always");
}

/// A fault without its story would be a claim that nobody tests.
#[test]
fn every_fault_has_one_story() {
    let mut told = Vec::new();
    for entry in fs::read_dir(Path::new(file!()).parent().map(|folder| Path::new(ROOT).join(folder)).unwrap()).unwrap()
    {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for piece in text.split("fault(\"").skip(1) {
            told.push(piece.split('"').next().unwrap().to_owned());
        }
    }
    let names: BTreeSet<&str> = FAULTS.iter().map(|fault| fault.0).collect();
    assert_eq!(names.len(), FAULTS.len(), "two faults of one name");
    assert_eq!(told.iter().map(String::as_str).collect::<BTreeSet<_>>(), names);
    assert_eq!(told.len(), names.len(), "two stories of one fault: {told:?}");
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
