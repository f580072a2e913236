//! Reads a journal decision by decision: a file of any length in the memory of one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use ipam::Decision;
use limits::RECORDED_DECISION;

/// The decisions of a journal, in its order.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
}

/// A line that is not a decision. The others can be read all the same.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is not a decision: {why}")]
pub struct Damaged {
    /// The number of the line, counted from 1.
    pub line: u64,
    pub why: String,
}

impl Lines<BufReader<File>> {
    pub fn of_file(path: &Path) -> io::Result<Self> {
        File::open(path).map(|file| Self::new(BufReader::new(file)))
    }
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, number: 0, line: Vec::new() }
    }

    /// Read the next line; false at the end. A line that is too long is read to its end, so that the next one can be
    /// found, but not kept.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        self.number += 1;
        let most = RECORDED_DECISION as u64 + 1;
        let read = (&mut self.reader).take(most).read_until(b'\n', &mut self.line)?;
        if self.is_too_long() {
            self.reader.skip_until(b'\n')?;
        }
        Ok(read > 0)
    }

    fn is_too_long(&self) -> bool {
        self.line.len() > RECORDED_DECISION && !self.line.ends_with(b"\n")
    }

    fn parse_decision(&self) -> Result<Decision, Damaged> {
        let why = if self.is_too_long() {
            format!("it is longer than {RECORDED_DECISION} bytes")
        } else {
            match serde_json::from_slice(&self.line) {
                Ok(decision) => return Ok(decision),
                Err(error) => error.to_string(),
            }
        };
        Err(Damaged { line: self.number, why })
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Result<Decision, Damaged>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read_line() {
                Ok(false) => return None,
                Ok(true) if self.line.trim_ascii().is_empty() => {}
                Ok(true) => return Some(Ok(self.parse_decision())),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_lines_are_named_and_hide_no_others() {
        let good = r#"{"at": "2026-01-01T00:00:00Z", "policy": {"name": "p", "sha256": ""}, "request": {"attachment":
            {"network": "blue", "container": "c1", "interface": "eth0"}, "rangeSets": {"ranges": []}},
            "snapshot": {}, "answer": {"fault": "gone"}}"#
            .replace('\n', "");
        let long = "x".repeat(RECORDED_DECISION + 10);
        let text = format!("{good}\n\n{{\"at\":\n{long}\n{good}");
        let read: Vec<_> = Lines::new(text.as_bytes()).map(Result::unwrap).collect();
        let told =
            |nth: usize| read[nth].as_ref().map_err(ToString::to_string).map(|decision| decision.answer.to_string());
        assert_eq!(read.len(), 4);
        assert_eq!([told(0), told(3)], [Ok("fault: gone".to_owned()), Ok("fault: gone".to_owned())]);
        assert!(told(1).unwrap_err().starts_with("line 3 is not a decision: EOF"), "{:?}", told(1));
        assert_eq!(told(2).unwrap_err(), "line 4 is not a decision: it is longer than 1048576 bytes");
    }
}
