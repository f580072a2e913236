//! Text from a guest, made safe for a log, a terminal and an error message.

use ipam::shown::one_line;

/// On one line, with no character that moves the cursor, colours the terminal or reorders the text, and at most this
/// many bytes of the original.
pub fn tame(text: &str, most: u64) -> String {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let cut = if text.len() <= most { text.len() } else { text.floor_char_boundary(most) };
    let mut tamed = one_line(&text[..cut]).into_owned();
    if cut < text.len() {
        tamed.push_str(&format!("… ({} bytes more)", text.len() - cut));
    }
    tamed
}

/// The same for a text of several lines: they stay apart.
pub(super) fn tame_lines(text: &str, most: u64) -> String {
    text.lines().map(|line| tame(line, most)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_reached() {
        assert_eq!(tame("a\x1b[31mred\nnext\r\u{9b}2J", 100), "a\\u{1b}[31mred\\nnext\\r\\u{9b}2J");
        assert_eq!(tame("grün \u{202e}olleh", 100), "grün \\u{202e}olleh");
    }

    #[test]
    fn lines_stay_apart_and_are_tamed() {
        assert_eq!(tame_lines("{\n  \"a\": \"\x1b[2J\"\r\n}\n", 100), "{\n  \"a\": \"\\u{1b}[2J\"\n}");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(tame("äää", 3), "ä… (4 bytes more)");
        assert_eq!(tame("äää", 6), "äää");
    }
}
