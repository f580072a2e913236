//! `--bundle FILE`: one archive with what a person needs who looks at a problem from elsewhere, and without secrets.
//!
//! Left out are all files with keys, passwords and tokens, and in what is put in whatever looks like one: values of keys that
//! are called so, the user's part of URLs, and annotations as in the journal. The names of pods and nodes stay.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::check::Check;
use crate::cli::network::Opened;
use crate::config::Network;
use crate::journal::tally;
use crate::telemetry::end_of;
use cni::{Args, Fail};
use files::older;
use limits::{BUNDLED_LOG, NEVER_RECORDED, RECORDED_VALUE};

/// What stands in the place of a secret.
const REDACTED: &str = "(redacted)";

/// Parts of keys whose values are secrets, in small letters. A key that names a file holds none itself.
const SECRET: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "credential",
    "private",
    "authorization",
    "apikey",
    "api-key",
];

/// The archive could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the archive {}", .path.display())]
pub(super) struct BundleError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Fail for BundleError {
    fn hint(&self) -> Option<String> {
        Some(match self.source.kind() {
            io::ErrorKind::AlreadyExists => "name a file that does not exist yet: none is replaced".to_owned(),
            _ => "name a file in a directory that exists, on a disk with some megabytes of room".to_owned(),
        })
    }
}

/// Parts of the archive, by their names in it.
#[derive(Default)]
pub(super) struct Bundle(Vec<(String, String)>);

impl Bundle {
    /// What the doctor says, and of which versions.
    pub(super) fn add_checks(&mut self, checks: &[Check]) {
        let text: Vec<String> = checks.iter().map(ToString::to_string).collect();
        self.add("doctor.txt", &redact_lines(&text.join("\n")));
        self.add("versions.txt", &versions());
    }

    /// A network: its configuration, its log and what is counted for it.
    pub(super) fn add_network(&mut self, opened: &Opened) {
        let network = &opened.base.network;
        let shown = match serde_json::from_slice::<Value>(&opened.found.configuration) {
            Ok(mut value) => {
                redact(&mut value);
                serde_json::to_string_pretty(&value).unwrap_or_default()
            }
            // What is not JSON is not searched for secrets, and so not put in.
            Err(error) => format!("{}: {error}", opened.found.file),
        };
        self.add(&format!("networks/{network}.json"), &shown);
        if let Some(log) = &opened.base.log.file {
            for (name, log) in [("log", log.clone()), ("log.1", older(log))] {
                self.add(&format!("networks/{network}.{name}"), &redact_lines(&end_of(&log, BUNDLED_LOG)));
            }
        }
        let policy = Network::read(&opened.netconf, &Args::default()).map(|network| network.policy);
        if let Ok(policy) = policy
            && let Ok(tallies) = tally::read(&policy.cache_dir)
            && !tallies.is_empty()
        {
            self.add(
                &format!("networks/{network}.shadow.json"),
                &serde_json::to_string_pretty(&tallies).unwrap_or_default(),
            );
        }
    }

    fn add(&mut self, name: &str, text: &str) {
        if !text.is_empty() && !self.0.iter().any(|(known, _)| known == name) {
            self.0.push((name.to_owned(), text.to_owned()));
        }
    }

    /// Writes the archive, for its owner alone. An existing file is not replaced.
    pub(super) fn write(&self, path: &Path) -> Result<(), BundleError> {
        let written = self.try_write(path);
        written.map_err(|source| BundleError { path: path.to_owned(), source })
    }

    fn try_write(&self, path: &Path) -> io::Result<()> {
        let file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut archive = tar::Builder::new(file);
        for (name, text) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            archive.append_data(&mut header, format!("kube-ipam/{name}"), text.as_bytes())?;
        }
        archive.into_inner()?.sync_all()
    }

    /// The names of its parts, for the last line of the report.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn versions() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    format!("kube-ipam {}\n{}{}", env!("CARGO_PKG_VERSION"), read("/proc/version"), read("/etc/os-release"))
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRET.iter().any(|part| key.contains(part)) && !key.ends_with("file")
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                // Notes of the site, which nobody but the site knows the meaning of.
                if is_secret(key) || key.starts_with("x-") || NEVER_RECORDED.contains(&key.as_str()) {
                    *value = Value::from(REDACTED);
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::String(text) => {
            *text = redact_text(text);
            // As in the journal: what is so long was not written by the site for a network.
            text.truncate(text.floor_char_boundary(RECORDED_VALUE));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.lines() {
        shown.push_str(&redact_text(line));
        shown.push('\n');
    }
    shown
}

/// A text without what looks like a secret, word by word: `password=…`, `Bearer …`, `https://user:…@host`.
fn redact_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut follows_secret = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end_matches(char::is_whitespace);
        if word.is_empty() {
            shown.push_str(piece);
            continue;
        }
        shown.push_str(&redact_word(word, follows_secret));
        shown.push_str(&piece[word.len()..]);
        let bare = word.trim_matches(['"', '\'', ':', ',']).to_lowercase();
        // The scheme stands behind its header, and may be glued to it: `Authorization=Bearer …`.
        follows_secret =
            bare.ends_with("bearer") || bare.ends_with("basic") || (word.ends_with(':') && is_secret(&bare));
    }
    shown
}

fn redact_word(word: &str, follows_secret: bool) -> String {
    if follows_secret {
        return REDACTED.to_owned();
    }
    // A password may have an @, a host has none.
    if let Some((scheme, rest)) = word.split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        return format!("{scheme}://{REDACTED}@{}", redact_word(host, false));
    }
    // Any of its parts may be the key: `error="token=…`, `https://host/?token=…`.
    let mut begin = 0;
    for (at, _) in word.match_indices(['=', ':']) {
        if is_secret(&word[begin..at]) && at + 1 < word.len() {
            return format!("{}{REDACTED}", &word[..=at]);
        }
        begin = at + 1;
    }
    // A JSON Web Token, wherever it stands.
    if word.contains("eyJ") && word.matches('.').count() >= 2 {
        return REDACTED.to_owned();
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLANTED: &str = "hunter2";

    #[test]
    fn nothing_that_looks_like_a_secret_stays_in_a_configuration() {
        let mut value = json!({
            "name": "blue", "x-note": PLANTED, "apiToken": PLANTED, "nested": [{"Password": {"of": PLANTED}}],
            "url": format!("https://root:{PLANTED}@etcd:2379"), "note": format!("token={PLANTED} and Bearer {PLANTED}"),
            "ipam": {"etcdConfig": {"etcdPasswordFile": "/etc/kube-ipam/password", "etcdURL": "https://etcd:2379"}},
            "args": {"kubectl.kubernetes.io/last-applied-configuration": PLANTED},
        });
        redact(&mut value);
        let text = value.to_string();
        assert!(!text.contains(PLANTED), "{text}");
        assert!(text.contains("/etc/kube-ipam/password") && text.contains("https://etcd:2379"), "{text}");
    }

    #[test]
    fn no_way_to_write_a_secret_is_overlooked() {
        for text in [
            format!("error=\"token={PLANTED} is refused\""),
            format!("https://etcd:2379/?token={PLANTED}"),
            format!("https://root:p@{PLANTED}@etcd:2379"),
            format!("Authorization=Bearer {PLANTED}"),
            format!("Authorization: Basic {PLANTED}"),
            format!("password:\t{PLANTED}\nrest"),
            format!("{{\"apiKey\":\"{PLANTED}\"}}"),
        ] {
            let shown = redact_text(&text);
            assert!(!shown.contains(PLANTED) && shown.contains(REDACTED), "{text}: {shown}");
        }
        for text in ["etcdPasswordFile=/etc/kube-ipam/password", "a  b\tc\n", "cannot read the token: "] {
            assert_eq!(redact_text(text), text);
        }
    }

    #[test]
    fn lines_of_the_log_keep_what_they_are_about() {
        let line = format!(
            "2026 ERROR verb=ADD pod=shop/web node=n1 error=\"cannot reach https://u:{PLANTED}@a:1: password: {PLANTED}\" \
             eyJhbGciOi.eyJzdWIi.{PLANTED}"
        );
        let shown = redact_lines(&line);
        assert!(!shown.contains(PLANTED), "{shown}");
        assert!(shown.contains("verb=ADD pod=shop/web node=n1") && shown.contains("@a:1"), "{shown}");
    }
}
