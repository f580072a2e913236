//! What an earlier call found out, so that a later one need not read a module of many megabytes to learn its digest, nor
//! its compiled form to learn that it is intact. Kept in the cache, under the same trust as the code.
//!
//! A wrong note could only make us run code that was compiled from another module with a digest of its own; what runs is
//! always code of the digest that was compared with the pin.

use super::cache::Cache;
use super::file::Stamp;

/// One note: `version`, the stamps of module and code, the module's digest, and what it says of annotations, as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Of the module file that was read.
    pub(super) module: Stamp,
    /// The digest of what was read.
    pub(super) sha256: String,
    /// Of the compiled form, whose checksum was right.
    pub(super) code: Stamp,
    /// The annotations that the module says it reads, if it says so; `None` where it was not asked, or did not answer.
    pub(super) annotations: Told,
}

/// What a module was asked about the annotations it reads, and what it said of them.
pub(super) type Told = Option<Option<Vec<String>>>;

/// Changes with the form of a note.
const VERSION: &str = "2";

/// The words of a note: its version, two stamps of five, the digest, and what the module said.
const WORDS: usize = 13;

impl Known {
    /// What is known of the module file of this stamp.
    pub(super) fn recall(cache: &Cache, module: &Stamp) -> Option<Self> {
        let text = cache.get(&name(module)).ok()?;
        Self::parse(std::str::from_utf8(&text).ok()?).filter(|known| known.module == *module)
    }

    /// Best effort: without the note the next call does the work again.
    pub(super) fn remember(&self, cache: &Cache) {
        if let Err(error) = cache.put(&name(&self.module), self.text().as_bytes()) {
            tracing::debug!("cannot cache the description of a module: {error}");
        }
    }

    fn text(&self) -> String {
        let told = self.annotations.as_ref().and_then(|told| serde_json::to_string(told).ok()).unwrap_or_default();
        format!("{VERSION} {} {} {} {told}", stamp_text(self.module), stamp_text(self.code), self.sha256)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(WORDS, ' ');
        if words.next() != Some(VERSION) {
            return None;
        }
        let (module, code) = (parse_stamp(&mut words)?, parse_stamp(&mut words)?);
        let sha256 = words.next()?.to_owned();
        let annotations = match words.next()? {
            "" => None,
            told => Some(serde_json::from_str(told).ok()?),
        };
        Some(Self { module, code, sha256, annotations })
    }
}

fn stamp_text(stamp: Stamp) -> String {
    let Stamp { device, inode, size, modified, changed } = stamp;
    format!("{device} {inode} {size} {modified} {changed}")
}

fn parse_stamp<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Stamp> {
    Some(Stamp {
        device: words.next()?.parse().ok()?,
        inode: words.next()?.parse().ok()?,
        size: words.next()?.parse().ok()?,
        modified: words.next()?.parse().ok()?,
        changed: words.next()?.parse().ok()?,
    })
}

/// One note for each file: another version in its place overwrites it.
fn name(module: &Stamp) -> String {
    format!("{:x}-{:x}{NOTE_END}", module.device, module.inode)
}

/// How a note's name ends. With its dot: the names of modules have "unknown" in them.
pub(super) const NOTE_END: &str = ".known";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_as_it_was_written() {
        let stamp = |seed: u64| Stamp {
            device: seed,
            inode: u64::MAX,
            size: seed + 1,
            modified: -i128::from(seed),
            changed: i128::from(u64::MAX) * 1_000,
        };
        let list = vec!["kube-ipam.ip".to_owned(), "kube-ipam.a b".to_owned()];
        for annotations in [None, Some(None), Some(Some(Vec::new())), Some(Some(list))] {
            let known = Known { module: stamp(7), sha256: "ab".repeat(32), code: stamp(0), annotations };
            assert_eq!(Known::parse(&known.text()).as_ref(), Some(&known));
        }
        let known = Known { module: stamp(7), sha256: "ab".repeat(32), code: stamp(0), annotations: Some(None) };
        let cut = &known.text()[..known.text().len() - 1];
        for damaged in ["", "1", "1 1 2 3 4 5 1 2 3 4 5 x", &known.text()[..20], &known.text().replace(' ', "  "), cut]
        {
            assert_eq!(Known::parse(damaged), None, "{damaged}");
        }
    }
}
