//! The tree uses its words as the project agreed on them: one meaning each, in plain English. `git` lists the files.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What must not be written, and what to write instead. A phrase is found in comments, strings and documents, also where
/// it begins a sentence or a line ends within it. A name, which begins with a capital, is found in longer names, too.
const FORBIDDEN: &[(&str, &str)] = &[
    ("the way out", "a hint: what to do next"),
    ("anew", "again"),
    ("for ever", "forever"),
    ("belongs into", "belongs in"),
    ("belong into", "belong in"),
    ("is no span", "is not a valid range"),
    ("is no regular", "is not a regular"),
    ("is no subnet", "is not a subnet"),
    ("is no gateway", "is not a gateway"),
    ("is no decision", "is not a decision"),
    ("are no decisions", "could not be read as decisions"),
    ("is no configuration", "is not a configuration"),
    ("is no function", "is not a function"),
    ("is no object", "is not an object"),
    ("is no JSON", "is not JSON"),
    ("is no SHA-256", "is not a SHA-256 digest"),
    ("is no pod", "is not a pod"),
    ("is no fault", "is not a fault"),
    ("knows the pod no more", "no longer knows the pod"),
    ("who looks after the pod", "the operator"),
    ("whoever looks after the pod", "the operator"),
    ("a panic without a text", "a panic without a message"),
    ("is mended", "is repaired"),
    ("are mended", "are repaired"),
    ("to mend it", "to fix it"),
    ("what mends them", "how to repair them"),
    ("dear to compile", "expensive to compile"),
    ("not to be had", "not available"),
    ("is to be had", "is available"),
    ("agrees with every other", "is consistent"),
    ("HeldAddress", "Allocation"),
    ("KeptAddress", "Hold"),
    ("Claimant", "Requester"),
    ("Inquiry", "Requester"),
    ("struct Contender", "Requester"),
    ("Asker", "Requester"),
    ("struct Asking", "Requester"),
];

/// Where a word is right: this list, and what was released or recorded under the name it had.
const ALLOWED: &[&str] = &["tests/program/words.rs", "tests/released/", "host/kube-ipam/functions.txt", "Cargo.lock"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What git keeps, but for what is allowed to be as it is and what is not text.
fn texts() -> Vec<(String, String)> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let mut texts = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        if ALLOWED.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        // A file that was deleted and not yet committed is still listed.
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            texts.push((name.to_owned(), text));
        }
    }
    texts
}

/// The words of a text, one space apart, so that a line may end within a phrase: what begins a line of a comment or ends
/// a line of a string is not a word.
fn flattened(text: &str) -> String {
    let mut flat = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim().trim_start_matches(['/', '!', '#', ';', '*']).trim_end_matches('\\').trim();
        flat.push_str(line);
        flat.push(' ');
    }
    flat
}

/// Whether the text has a phrase or a name in it. A phrase, also one that begins a sentence, has to stand between characters
/// that are not part of a word; `there is no pod` is English, and `it is no pod` is not.
fn has(text: &str, forbidden: &str) -> bool {
    let (first, rest) = forbidden.split_at(1);
    if first.starts_with(char::is_uppercase) {
        return text.contains(forbidden);
    }
    let begins_a_sentence = first.to_uppercase() + rest;
    [forbidden, &begins_a_sentence].iter().any(|phrase| {
        text.match_indices(phrase).any(|(at, found)| {
            let (before, after) = (&text[..at], &text[at + found.len()..]);
            !before.ends_with(is_of_a_word) && !after.starts_with(is_of_a_word) && !before.ends_with("there ")
        })
    })
}

fn is_of_a_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn no_word_is_used_that_the_style_guide_forbids() {
    let mut found = Vec::new();
    for (name, text) in texts() {
        let text = flattened(&text);
        for (forbidden, instead) in FORBIDDEN {
            if has(&text, forbidden) {
                found.push(format!("{name}: {forbidden:?}; write {instead:?}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_phrase_is_found_across_lines_and_not_within_a_word() {
    let text = flattened("    /// It belongs\n    /// into `ipam`.\n    \"the way \\\n     out\"\n");
    assert!(has(&text, "belongs into") && has(&text, "the way out"));
    assert!(!has("manewer", "anew") && !has("there is no pod", "is no pod") && has("it is no pod", "is no pod"));
    assert!(has("struct ManyAskers", "Asker") && has("Gone. Anew it comes.", "anew"));
}
