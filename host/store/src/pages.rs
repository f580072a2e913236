//! A range, page by page, in time that grows with its keys.
//!
//! etcd answers every range with the number of keys it has, also where only the first thousand are asked for, and walks all of
//! them to know it (etcd-io/etcd#11057, so in every version up to 3.6). With the end of the whole range for an end, each page
//! would cost a walk over all that is left: quadratic, and whoever claims an address meanwhile waits for the walks.
//!
//! So each page has an end of its own, as far beyond its beginning as the last full page reached:
//!
//! ```text
//!   first page     to the end of the range: nothing is known yet, all is walked once
//!   full page      what is left behind it, as wide as it was: neighbours are as dense as each other, as a rule
//!   thin page      wider next time, so that pages are full where keys become rare
//!   empty page     six times as wide, until somebody is there: from "shop/web-9…" to "shop/w…" to "shop/…"
//! ```
//!
//! How wide a page is is told in the order of keys: a place in them, and a number that counts in digits from there on. The
//! end need not be a key. Whatever it is, no key is left out and none comes twice: what decides how much is walked decides
//! nothing else.

use std::rc::Rc;

use super::Store;
use super::error::StoreError;
use super::map::MapView;
use super::ordered::{Entry, KeyRange, Page, Read, View};
use limits::store::PAGE;

/// A function that is told how many entries each page had.
pub type Progress = Rc<dyn Fn(usize)>;

/// What is left to read of a range.
pub(crate) struct Pages {
    rest: KeyRange,
    limit: usize,
    keys_only: bool,
    stride: Option<Stride>,
    progress: Option<Progress>,
}

/// How far a page goes: by so much in the digits that begin at a place of its first key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stride {
    place: usize,
    by: u128,
}

impl Pages {
    pub(crate) fn of(range: KeyRange) -> Self {
        Self { rest: range, limit: PAGE, keys_only: false, stride: None, progress: None }
    }

    pub(crate) fn keys_of(range: KeyRange) -> Self {
        Self { keys_only: true, ..Self::of(range) }
    }

    /// Read at most `limit` entries for each page.
    pub(crate) fn limited(self, limit: usize) -> Self {
        Self { limit: limit.clamp(1, PAGE), ..self }
    }

    pub(crate) fn telling(self, progress: Option<Progress>) -> Self {
        Self { progress, ..self }
    }

    /// The next entries, at least one; `None` at the end. After an error the same page can be asked for once more, in another
    /// view.
    pub(crate) async fn next(&mut self, view: &mut MapView) -> Result<Option<Vec<Entry>>, StoreError> {
        while self.rest.from < self.rest.to {
            let slice = KeyRange { from: self.rest.from.clone(), to: self.end() };
            let read = Read::Scan { range: slice.clone(), limit: self.limit, keys_only: self.keys_only };
            let page = view.read(&[read]).await?.into_iter().next().unwrap_or_default();
            self.go_on_after(slice, &page);
            if page.entries.is_empty() {
                continue;
            }
            if let Some(progress) = &self.progress {
                progress(page.entries.len());
            }
            return Ok(Some(page.entries));
        }
        Ok(None)
    }

    /// All entries that are left, at the moment of one view.
    pub(crate) async fn all(mut self, view: &mut MapView) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        while let Some(page) = self.next(view).await? {
            entries.extend(page);
        }
        Ok(entries)
    }

    /// Where the next page ends: as far as the stride reaches, and not behind the end of the range. A stride that leads
    /// nowhere, as it may among keys of other characters, counts as none: all that is left is read.
    fn end(&self) -> String {
        let KeyRange { from, to } = &self.rest;
        match self.stride.and_then(|stride| stride.from(from)) {
            Some(end) if *from < end && end < *to => end,
            _ => to.clone(),
        }
    }

    fn go_on_after(&mut self, slice: KeyRange, page: &Page) {
        if page.more
            && let (Some(first), Some(last)) = (page.entries.first(), page.entries.last())
        {
            self.stride = Some(Stride::between(&first.key, &last.key));
            self.rest.from = key_after(&last.key);
            return;
        }
        // A page that is not full reaches the end of its slice. Before the first full one there is no stride to change.
        self.stride = match (self.stride, page.entries.len()) {
            (Some(stride), 0) => Some(stride.widened()),
            (Some(stride), found) => Some(stride.fitted(found, self.limit)),
            (None, _) => None,
        };
        self.rest.from = slice.to;
    }
}

/// Where a range goes on behind a key.
///
/// A key that is not text is read with a mark in the place of what is not. Behind that mark nothing can be found again: it may
/// sort before the key, and the same page would come forever. Such keys are none of ours, and lie behind all of ours that
/// begin alike, so that all of them are passed over at once.
pub(crate) fn key_after(key: &str) -> String {
    let foreign = key.find(char::REPLACEMENT_CHARACTER);
    foreign.and_then(|at| following(&key[..at])).unwrap_or_else(|| format!("{key}\0"))
}

impl Store {
    /// A range page by page; the store's progress is told of each.
    pub(crate) fn pages(&self, range: KeyRange) -> Pages {
        Pages::of(range).telling(self.progress.clone())
    }

    /// The keys of a range page by page, without values.
    pub(crate) fn pages_of_keys(&self, range: KeyRange) -> Pages {
        Pages::keys_of(range).telling(self.progress.clone())
    }

    /// Tell how many entries were read, page by page, whenever everything of something is read.
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }
}

/// Digits of a stride. What 39 to the power of 20 leaves of 128 bits is room for what strides are multiplied with.
const DIGITS: usize = 20;

/// Keys are made of digits and small letters, as a rule: each has a digit of its own. What lies between them counts as one.
const BASE: u128 = 39;

/// One more than a stride can be.
const WHOLE: u128 = BASE.pow(DIGITS as u32);

impl Stride {
    /// From one key to another, as the keys differ.
    fn between(first: &str, last: &str) -> Self {
        let place = first.bytes().zip(last.bytes()).take_while(|(one, two)| one == two).count();
        match number(&digits_at(last, place)).checked_sub(number(&digits_at(first, place))) {
            Some(by @ 1..) => Self { place, by },
            // They differ in characters that share a digit.
            _ => Self { place, by: WHOLE / BASE },
        }
    }

    /// Where it leads from a key on; `None` where that may be beyond all keys.
    fn from(self, key: &str) -> Option<String> {
        let mut place = self.place.min(key.len());
        while !key.is_char_boundary(place) {
            place -= 1;
        }
        let deeper = u32::try_from(self.place - place).unwrap_or(u32::MAX);
        let by = (self.by / BASE.saturating_pow(deeper)).max(1);
        let end = number(&digits_at(key, place)) + by;
        if end < WHOLE {
            return Some(key[..place].to_owned() + &text_after(&key[place..], end));
        }
        Some(following(&key[..place])? + &text_after("", end - WHOLE))
    }

    /// For where nothing was found. Tried on keys of 150,000 and 550,000 pods: less asks more often, more runs further into
    /// what comes behind the gap, all of which is walked then.
    fn widened(self) -> Self {
        Self { by: self.by * 6, ..self }.settled()
    }

    /// So that a page is nearly full next time, where it had `found` entries this time.
    fn fitted(self, found: usize, limit: usize) -> Self {
        let by = self.by * limit as u128 * 4 / (found as u128 * 5).max(1);
        Self { by: by.clamp(self.by / 4, self.by * 4).max(1), ..self }.settled()
    }

    fn settled(self) -> Self {
        let Self { mut place, mut by } = self;
        while by >= WHOLE && place > 0 {
            place -= 1;
            by /= BASE;
        }
        Self { place, by: by.min(WHOLE - 1) }
    }
}

fn digit_of(byte: u8) -> u128 {
    u128::from(match byte {
        ..b'0' => 0,
        b'0'..=b'9' => byte - b'0' + 1,
        b':'..=b'`' => 11,
        b'a'..=b'z' => byte - b'a' + 12,
        _ => 38,
    })
}

/// The first character that counts as this digit.
fn character_of(digit: u128) -> char {
    char::from(match u8::try_from(digit).unwrap_or(u8::MAX) {
        0 => b' ',
        digit @ 1..=10 => digit - 1 + b'0',
        11 => b':',
        digit @ 12..=37 => digit - 12 + b'a',
        _ => b'{',
    })
}

/// What the characters of a key count as from a place on.
fn digits_at(key: &str, place: usize) -> [u128; DIGITS] {
    let mut digits = [0; DIGITS];
    for (digit, byte) in digits.iter_mut().zip(key.bytes().skip(place)) {
        *digit = digit_of(byte);
    }
    digits
}

fn number(digits: &[u128; DIGITS]) -> u128 {
    digits.iter().fold(0, |number, digit| number * BASE + digit)
}

/// A text with these digits that comes after `before`, whose digits are less: with its very characters as long as the digits
/// are the same, because the first character of a digit may come before the one that is there.
fn text_after(before: &str, mut number: u128) -> String {
    let mut digits = [0; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = number % BASE;
        number /= BASE;
    }
    let mut same = before.bytes().zip(digits).take_while(|(byte, digit)| digit_of(*byte) == *digit).count();
    while !before.is_char_boundary(same) {
        same -= 1;
    }
    let rest: String = digits[same..].iter().map(|digit| character_of(*digit)).collect();
    before[..same].to_owned() + rest.trim_end_matches(' ')
}

/// What comes after everything that begins with this.
fn following(text: &str) -> Option<String> {
    let mut next = text.to_owned();
    while let Some(last) = next.pop() {
        if let Some(character) = (last..=char::MAX).nth(1) {
            next.push(character);
            return Some(next);
        }
    }
    None
}

#[cfg(test)]
mod tests;
