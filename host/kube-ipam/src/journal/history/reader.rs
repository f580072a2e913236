//! Reads the history that nodes keep: files of any length in the memory of one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Event;
use crate::journal::counts::is_zero;
use files::older;
use limits::HISTORY_LINE;

/// A line of a journal, or of what `kube-ipam history --raw` prints of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum JournalLine {
    /// How far a node's journal reaches; it comes before the node's events.
    Reach(Reach),
    Event(Box<Event<'static>>),
}

/// How much a journal can tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// The node that keeps it.
    pub journal_of: String,
    /// Its first event; nothing is known of what was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<Timestamp>,
    /// Lines that are no events: a full disk or a killed process has cut them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged: u64,
    /// Why it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<String>,
}

impl Reach {
    fn silent(node: &str, why: impl Into<String>) -> Self {
        Self { journal_of: node.to_owned(), silent: Some(why.into()), ..Self::default() }
    }
}

/// Have each event of a node's journal looked at, oldest first, and say how far it reaches. Whatever is wrong with the files
/// is a part of that.
pub fn lines_of(file: &Path, node: &str, mut look: impl FnMut(Event<'static>)) -> Reach {
    let mut reach = Reach { journal_of: node.to_owned(), ..Reach::default() };
    let mut is_there = false;
    for part in [older(file), file.to_owned()] {
        let opened = match File::open(&part) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Reach::silent(node, format!("{}: {error}", part.display())),
        };
        is_there = true;
        let read = lines(BufReader::new(opened), |line| match line {
            Some(JournalLine::Event(event)) => {
                reach.begins = Some(reach.begins.map_or(event.at, |begins| begins.min(event.at)));
                look(*event);
            }
            Some(JournalLine::Reach(_)) => {}
            None => reach.damaged += 1,
        });
        if let Err(error) = read {
            return Reach::silent(node, format!("{}: {error}", part.display()));
        }
    }
    if is_there { reach } else { Reach::silent(node, format!("there is no {}", file.display())) }
}

/// Have each line looked at; `None` is one that cannot be read.
pub fn lines(mut reader: impl BufRead, mut look: impl FnMut(Option<JournalLine>)) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut reader).take(HISTORY_LINE as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\n") && line.len() == HISTORY_LINE {
            reader.skip_until(b'\n')?;
            look(None);
        } else if !line.trim_ascii().is_empty() {
            look(serde_json::from_slice(&line).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HistoryConfig;
    use crate::journal::history::{What, append};

    fn event(second: i64) -> Event<'static> {
        let at = Timestamp::from_second(second).unwrap();
        Event::of_addresses(What::Reserved, "blue", vec!["10.0.0.9".to_owned()], at)
    }

    #[test]
    fn a_line_that_was_cut_is_counted_and_hides_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("data/history.jsonl");
        let config = HistoryConfig { file: file.clone(), most_bytes: 1 << 20 };
        append(&config, &[event(1), event(2)]).unwrap();
        let whole = std::fs::read(&file).unwrap();
        for cut in 2..event(2).line().len() {
            std::fs::write(&file, &whole[..whole.len() - cut]).unwrap();
            append(&config, &[event(3)]).unwrap();
            let mut seen = Vec::new();
            let reach = lines_of(&file, "node-1", |event| seen.push(event.at.as_second()));
            let damaged = u64::from(cut < event(2).line().len() - 1);
            assert_eq!((seen, reach.damaged, reach.begins), (vec![1, 3], damaged, Some(event(1).at)), "{cut}");
        }
    }

    #[test]
    fn what_is_older_comes_first_and_what_is_missing_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("history.jsonl");
        let nothing = lines_of(&file, "node-1", |_| {});
        assert!(nothing.silent.unwrap().contains("there is no "));
        let config = HistoryConfig { file: file.clone(), most_bytes: 100 };
        for second in 1..=6 {
            append(&config, &[event(second)]).unwrap();
        }
        let mut seen = Vec::new();
        let reach = lines_of(&file, "node-1", |event| seen.push(event.at.as_second()));
        assert_eq!((seen, reach.begins), (vec![3, 4, 5, 6], Some(event(3).at)), "the oldest went");
    }

    #[test]
    fn a_line_without_end_and_one_of_a_later_version_stop_nobody() {
        let later = event(1).line().replace("\"reserved\"", "\"teleported\"").replace("{", "{\"colour\":\"red\",");
        let text = format!("{}\n{later}\n{{\"journalOf\":\"n2\",\"silent\":\"no\"}}\n", "x".repeat(HISTORY_LINE + 5));
        let mut seen = Vec::new();
        lines(text.as_bytes(), |line| seen.push(line)).unwrap();
        let Some(JournalLine::Event(event)) = &seen[1] else { panic!("{seen:?}") };
        assert_eq!((seen.len(), &seen[0], event.what), (3, &None, What::Unknown));
        assert_eq!(seen[2], Some(JournalLine::Reach(Reach::silent("n2", "no"))));
    }
}
