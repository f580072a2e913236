//! What keeps a text from being JSON, in the words of whoever writes JSON by hand.

/// What is wrong and where, by the error of the decoder that read this text.
pub fn problem(text: &[u8], error: &serde_json::Error) -> String {
    if let Some(encoding) = encoding(text) {
        return encoding.to_owned();
    }
    let (line, column) = (error.line(), error.column());
    let problem = comment_or_quote(text, line, column).unwrap_or_else(|| in_plain_words(error));
    format!("{problem} (line {line}, column {column})")
}

/// The same without a place: for a fragment, whose lines nobody has seen.
pub(super) fn in_plain_words(error: &serde_json::Error) -> &'static str {
    if error.is_eof() {
        return "it ends too early";
    }
    match without_line(&error.to_string()) {
        "recursion limit exceeded" => "it is nested too deeply",
        "expected ident" => "a word that JSON does not know",
        "trailing characters" => "something follows after its end",
        "trailing comma" => "a comma stands before a closing bracket",
        "expected value" => "a value is missing, or is a string without quotes",
        "key must be a string" => "a key is not in quotes, or a comma stands before a closing bracket",
        "expected `:`" => "a colon is missing after a key",
        "expected `,` or `}`" => "a comma or the closing } is missing",
        "expected `,` or `]`" => "a comma or the closing ] is missing",
        "invalid escape" => "a backslash in a string is followed by a character that it cannot escape",
        "invalid number" => "a number is malformed",
        "number out of range" => "a number is too large",
        "invalid unicode code point" => "a string is not UTF-8",
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => "half of a \\u escape is missing",
        problem if problem.starts_with("control character") => {
            "a string contains a line break or another control character"
        }
        _ => "it is malformed",
    }
}

/// The decoder's words without the place.
pub(super) fn without_line(text: &str) -> &str {
    text.rsplit_once(" at line ").map_or(text, |(problem, _)| problem)
}

/// What editors of other systems do to a file, and no runtime reads.
fn encoding(text: &[u8]) -> Option<&'static str> {
    match text {
        [0xef, 0xbb, 0xbf, ..] => Some("it begins with a byte order mark: save it as UTF-8 without one"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => Some("it is UTF-16: save it as UTF-8"),
        _ => None,
    }
}

/// The decoder stops at the first character of either, and only misses something else.
fn comment_or_quote(text: &[u8], line: usize, column: usize) -> Option<&'static str> {
    let line = text.split(|&byte| byte == b'\n').nth(line.checked_sub(1)?)?;
    match line.get(column.checked_sub(1)?..)? {
        [b'/', b'/' | b'*', ..] | [b'#', ..] => Some("a comment, which JSON does not have"),
        [b'\'', ..] | [0xe2, 0x80, 0x98..=0x9f, ..] => Some("a string in quotes of another kind than \""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn no_fault_is_told_in_the_words_of_the_decoder() {
        let utf_16: Vec<u8> = "{\"a\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark = [b"\xef\xbb\xbf".as_slice(), b"{}"].concat();
        let cases: [(&[u8], &str); 22] = [
            (b"{\"a\": 1", "it ends too early (line 1, column 7)"),
            (b"{\"a\": 1,\n}", "a comma stands before a closing bracket (line 2, column 1)"),
            (b"[1, ]", "a comma stands before a closing bracket (line 1, column 5)"),
            (b"{\"a\": 1, // why\n \"b\": 2}", "a comment, which JSON does not have (line 1, column 10)"),
            (b"{\"a\": 1 /* why */}", "a comment, which JSON does not have (line 1, column 9)"),
            (b"# why\n{}", "a comment, which JSON does not have (line 1, column 1)"),
            (b"{} // why", "a comment, which JSON does not have (line 1, column 4)"),
            (b"{'a': 1}", "a string in quotes of another kind than \" (line 1, column 2)"),
            ("{\u{201c}a\u{201d}: 1}".as_bytes(), "a string in quotes of another kind than \" (line 1, column 2)"),
            (b"{a: 1}", "a key is not in quotes, or a comma stands before a closing bracket (line 1, column 2)"),
            (b"{\"a\" 1}", "a colon is missing after a key (line 1, column 6)"),
            (b"{\"a\": 1 \"b\": 2}", "a comma or the closing } is missing (line 1, column 9)"),
            (b"[1 2]", "a comma or the closing ] is missing (line 1, column 4)"),
            (b"{\"a\": }", "a value is missing, or is a string without quotes (line 1, column 7)"),
            (b"{\"a\": True}", "a value is missing, or is a string without quotes (line 1, column 7)"),
            (b"{\"a\": nil}", "a word that JSON does not know (line 1, column 8)"),
            (b"{\"a\": 01}", "a number is malformed (line 1, column 8)"),
            (b"{\"a\": 1e999}", "a number is too large (line 1, column 11)"),
            (b"{\"a\": \"x\ny\"}", "a string contains a line break or another control character (line 2, column 0)"),
            (
                b"{\"a\": \"\\x\"}",
                "a backslash in a string is followed by a character that it cannot escape (line 1, column 9)",
            ),
            (&utf_16, "it is UTF-16: save it as UTF-8"),
            (&with_mark, "it begins with a byte order mark: save it as UTF-8 without one"),
        ];
        for (text, expected) in cases {
            let error = serde_json::from_slice::<Value>(text).unwrap_err();
            assert_eq!(problem(text, &error), expected, "{}: {error}", String::from_utf8_lossy(text));
        }
    }
}
