//! Which word was meant: how words are misspelt, and where a JSON Schema has them.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod schema;

/// Whether two keys differ in no more than case and separators, as `range_start` and `rangeStart` do.
pub fn is_same(one: &str, two: &str) -> bool {
    letters_and_digits(one) == letters_and_digits(two)
}

fn letters_and_digits(key: &str) -> String {
    key.replace(['_', '-'], "").to_ascii_lowercase()
}

/// The known word that this one stands for, or that is most like it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let same = known.clone().into_iter().find(|known| is_same(word, known));
    same.or_else(|| alike(word, known))
}

/// The known word that is most like this one, if any is.
pub fn alike<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Words that are less alike have nothing to do with each other: better to name none.
    const LEAST: f64 = 0.78;
    let (mut most, mut best) = (LEAST, None);
    for known in known {
        let likeness = strsim::jaro_winkler(&known.to_lowercase(), &word.to_lowercase());
        if likeness > LEAST && likeness >= most {
            (most, best) = (likeness, Some(known));
        }
    }
    best
}

/// Whether one word may be the other misspelt: a letter or two are other, missing, too many or changed places. Words that
/// differ in case alone are; `net1` and `net2` are not.
pub fn is_near(one: &str, two: &str) -> bool {
    if one == two {
        return false;
    }
    let (one, two) = (one.to_lowercase(), two.to_lowercase());
    // A number at the end is no slip: whoever has net1 and net2 means each.
    if one != two && without_digits(&one) == without_digits(&two) {
        return false;
    }
    let length = two.chars().count();
    let most = if length < 6 { 1 } else { 2 };
    one.chars().count().abs_diff(length) <= most && strsim::osa_distance(&one, &two) <= most
}

fn without_digits(word: &str) -> String {
    word.replace(|c: char| c.is_ascii_digit(), "")
}
