//! `docs/errors.md`: every code with its meaning, and every message with what to do about it, as this program says them.
//!
//! Written by the walk itself, so that it cannot say anything else: `INSTA_UPDATE=always` writes it again.

use std::collections::BTreeMap;
use std::path::Path;

use super::all;
use cni::{Fail, code};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");

const BEGINNING: &str = "# Errors

Every error that a container runtime may be answered with: a code, a message and a hint. The kubelet shows message and hint in the
events of the pod, the log (`/var/log/kube-ipam.log`) has both with the whole chain of causes. Names and addresses below are examples;
`--network NETWORK` is answered with the name of the network. Written by a test from the program itself: do not edit.
";

/// What a code means, by the code.
fn meaning(code: u32) -> &'static str {
    match code {
        code::INCOMPATIBLE_VERSION => "the version of the configuration is unknown, or older than the verb",
        code::UNSUPPORTED => "the version of the configuration cannot express the result",
        code::ENVIRONMENT => "a variable of the environment is missing or malformed",
        code::IO => "reading or writing failed on this node, or a record of the store is damaged",
        code::DECODE => "the configuration is not JSON, or a field has the wrong type",
        code::CONFIGURATION => "the configuration holds something that cannot be used",
        code::TRY_AGAIN => "something else is unreachable, too slow or full; the runtime tries again, and may succeed",
        code::UNAVAILABLE => "STATUS: an ADD could not work now, for the reason that follows",
        code::DEFECT => "a defect of kube-ipam",
        code::EXHAUSTED => "every address that the pod may have is held or held back",
        code::TAKEN => "the address that the pod names is held by another",
        code::INVALID_REQUEST => "what the pod or the runtime asks for is invalid",
        code::DENIED => "the policy of the network refuses",
        code::POLICY_FAULT => "the policy module trapped, reached a limit or proposed something impossible",
        code::NOT_HELD => "CHECK: the container does not hold the address that it uses",
        _ => "",
    }
}

fn page() -> String {
    let mut by_code: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for error in all() {
        let message = plain(&error.message());
        // In backticks itself, so that it may have none.
        let message = message.replace('`', "'");
        let entry = format!("- `{message}`\n\n  {}\n", plain(&error.hint().unwrap_or_default()));
        let entries = by_code.entry(error.code()).or_default();
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    let mut page = BEGINNING.to_owned();
    for (code, entries) in by_code {
        let meaning = meaning(code);
        assert!(!meaning.is_empty(), "code {code} means nothing");
        page.push_str(&format!("\n## {code}: {meaning}\n\n{}", entries.join("")));
    }
    page
}

/// The examples of the walk are as long as real names may be. A reader wants to see what kind of name it is.
fn plain(text: &str) -> String {
    ipam::shown::one_line(text).replace(&"c".repeat(64), "CONTAINER").replace(&"a".repeat(64), "DIGEST")
}

#[test]
fn the_page_of_errors_is_what_the_program_says() {
    let page = page();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        std::fs::create_dir_all(Path::new(PAGE).parent().unwrap()).unwrap();
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    for (nth, (says, stands)) in page.lines().zip(written.lines()).enumerate() {
        assert_eq!(says, stands, "line {} of docs/errors.md: run with INSTA_UPDATE=always", nth + 1);
    }
    assert_eq!(page.len(), written.len(), "docs/errors.md: run with INSTA_UPDATE=always");
}
