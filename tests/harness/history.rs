//! Judges a recorded history of calls: was every address held by at most one attachment at every instant?
//!
//! A call takes effect at some instant between its start and its end, nobody knows which. So what is certain is little:
//!
//! ```text
//!   ADD  |-----|                                an attachment surely holds from the end of its ADD
//!              ·======================·         until the start of its DEL,
//!         ·································     and possibly from the start of that ADD
//!   DEL                               |-----|   until the end of a DEL that succeeded
//! ```
//!
//! Two sure holds of one address that overlap are proof of a duplicate. A failed ADD may or may not have claimed, and
//! nobody knows what: it is possible, never sure. A failed DEL ends what is sure and not what is possible.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Answer;

/// When something happened, on one clock for the whole history.
pub type Instant = Duration;

/// One call: its process was not yet started at `start`, and had ended at `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Just before the call.
    pub start: Instant,
    /// Just after it.
    pub end: Instant,
    /// Who is meant.
    pub attachment: String,
    /// Verb and result.
    pub what: What,
}

/// A verb with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An ADD that answered an address.
    Added(String),
    /// An ADD that said that every address is held.
    Exhausted,
    /// An ADD that failed: it may have claimed.
    AddFailed,
    /// A DEL that succeeded.
    Deleted,
    /// A DEL that failed: it may have released.
    DelFailed,
}

impl What {
    /// What the answer to a verb means to a history; a failure that no test expects ends the test.
    pub fn of(verb: &str, attachment: &str, answer: &Answer) -> Self {
        match (verb, answer.status) {
            ("ADD", Some(0)) => Self::Added(answer.addresses().remove(0)),
            (_, Some(0)) => Self::Deleted,
            (verb, _) => match (verb, answer.failure()) {
                ("ADD", (101, _)) => Self::Exhausted,
                ("ADD", (11, _)) => Self::AddFailed,
                ("DEL", (11, _)) => Self::DelFailed,
                (verb, failure) => panic!("{verb} of {attachment}: {failure:?}"),
            },
        }
    }
}

/// Why a history is impossible where allocations are unique and none is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Two attachments surely held an address at one instant.
    Duplicate {
        /// The address.
        address: String,
        /// Its holders.
        holders: [String; 2],
    },
    /// What an attachment surely held was not what its next ADD answered.
    Lost {
        /// The attachment.
        attachment: String,
        /// What it held.
        held: String,
    },
    /// An ADD was told that all is held, and at no instant of it was that possible.
    WronglyExhausted {
        /// Who was told so.
        attachment: String,
        /// How many addresses can have been held at most.
        possible: usize,
    },
    /// Two calls of one attachment overlap: the checker judges such histories not at all.
    Overlap {
        /// The attachment.
        attachment: String,
    },
}

/// What a history leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// By address: who surely holds it.
    pub sure: BTreeMap<String, String>,
    /// Who may hold something or nothing.
    pub possible: BTreeSet<String>,
}

/// Judge a history over a range of so many addresses, one to an attachment.
pub fn check(events: &[Event], size: usize) -> Result<Standing, Violation> {
    let mut standing = Standing::default();
    let mut sure: BTreeMap<String, Vec<Hold>> = BTreeMap::new();
    let mut possible = Vec::new();
    for (attachment, events) in by_attachment(events)? {
        let life = Life::of(attachment, &events)?;
        if let Some(address) = &life.held_now {
            standing.sure.insert(address.clone(), attachment.to_owned());
        } else if life.possible.last().is_some_and(|hold| hold.until == Instant::MAX) {
            standing.possible.insert(attachment.to_owned());
        }
        life.sure.into_iter().for_each(|(address, hold)| sure.entry(address).or_default().push(hold));
        possible.extend(life.possible);
    }
    for (address, holds) in sure {
        refuse_overlap(&address, holds)?;
    }
    for event in events.iter().filter(|event| event.what == What::Exhausted) {
        let most = most_at_once(&possible, event);
        if most < size {
            return Err(Violation::WronglyExhausted { attachment: event.attachment.clone(), possible: most });
        }
    }
    Ok(standing)
}

/// From the first instant to the last one, the last one excluded.
#[derive(Clone, Debug)]
struct Hold {
    attachment: String,
    from: Instant,
    until: Instant,
}

/// What one attachment held.
#[derive(Default)]
struct Life {
    sure: Vec<(String, Hold)>,
    possible: Vec<Hold>,
    held_now: Option<String>,
}

impl Life {
    /// `events` are all of one attachment, in order.
    fn of(attachment: &str, events: &[&Event]) -> Result<Self, Violation> {
        let mut life = Self::default();
        for event in events {
            match &event.what {
                What::Added(address) => life.add(attachment, event, Some(address))?,
                What::AddFailed => life.add(attachment, event, None)?,
                What::Exhausted => life.refuse_other_than(attachment, None)?,
                What::Deleted | What::DelFailed => life.end(event),
            }
        }
        Ok(life)
    }

    fn add(&mut self, attachment: &str, event: &Event, answered: Option<&String>) -> Result<(), Violation> {
        let hold = |from| Hold { attachment: attachment.to_owned(), from, until: Instant::MAX };
        if self.possible.last().is_none_or(|last| last.until != Instant::MAX) {
            self.possible.push(hold(event.start));
        }
        let Some(address) = answered else { return Ok(()) };
        self.refuse_other_than(attachment, Some(address))?;
        if self.held_now.is_none() {
            self.sure.push((address.clone(), hold(event.end)));
            self.held_now = Some(address.clone());
        }
        Ok(())
    }

    /// An ADD repeats what is held.
    fn refuse_other_than(&self, attachment: &str, answered: Option<&String>) -> Result<(), Violation> {
        match &self.held_now {
            Some(held) if answered != Some(held) => {
                Err(Violation::Lost { attachment: attachment.to_owned(), held: held.clone() })
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, event: &Event) {
        if self.held_now.take().is_some()
            && let Some((_, hold)) = self.sure.last_mut()
        {
            hold.until = event.start;
        }
        if event.what == What::Deleted
            && let Some(hold) = self.possible.last_mut()
        {
            hold.until = hold.until.min(event.end);
        }
    }
}

fn by_attachment(events: &[Event]) -> Result<BTreeMap<&str, Vec<&Event>>, Violation> {
    let mut lives: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in events {
        lives.entry(&event.attachment).or_default().push(event);
    }
    for (attachment, life) in &mut lives {
        life.sort_by_key(|event| event.start);
        if life.windows(2).any(|pair| pair[1].start < pair[0].end) {
            return Err(Violation::Overlap { attachment: (*attachment).to_owned() });
        }
    }
    Ok(lives)
}

fn refuse_overlap(address: &str, mut holds: Vec<Hold>) -> Result<(), Violation> {
    holds.sort_by_key(|hold| hold.from);
    // Sorted by their starts, the first two that overlap are neighbours.
    for pair in holds.windows(2) {
        if pair[1].from < pair[0].until {
            let holders = [pair[0].attachment.clone(), pair[1].attachment.clone()];
            return Err(Violation::Duplicate { address: address.to_owned(), holders });
        }
    }
    Ok(())
}

/// The largest number of others that may have held an address at one instant of this call.
fn most_at_once(possible: &[Hold], call: &Event) -> usize {
    let meets = |hold: &&Hold| hold.from <= call.end && call.start <= hold.until && hold.attachment != call.attachment;
    let others: Vec<&Hold> = possible.iter().filter(meets).collect();
    // The number only grows where a hold begins.
    let instants = others.iter().map(|hold| hold.from.max(call.start));
    let at = |instant| others.iter().filter(|hold| hold.from <= instant && instant <= hold.until).count();
    instants.map(at).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"1-3 a ADD .2"`: from 1 to 3, an ADD of attachment a answered .2. Also `ADD full`, `ADD ?`, `DEL`, `DEL ?`.
    fn history(lines: &[&str]) -> Vec<Event> {
        let event = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let (start, end) = words[0].split_once('-').unwrap();
            let what = match words[2..] {
                ["ADD", "full"] => What::Exhausted,
                ["ADD", "?"] => What::AddFailed,
                ["ADD", address] => What::Added(address.to_owned()),
                ["DEL"] => What::Deleted,
                ["DEL", "?"] => What::DelFailed,
                _ => panic!("{line}"),
            };
            let at = |text: &str| Instant::from_secs(text.parse().unwrap());
            Event { start: at(start), end: at(end), attachment: words[1].to_owned(), what }
        };
        lines.iter().map(event).collect()
    }

    fn duplicate(lines: &[&str]) -> bool {
        matches!(check(&history(lines), 9), Err(Violation::Duplicate { address, .. }) if address == ".2")
    }

    #[test]
    fn histories_that_cannot_be() {
        assert!(duplicate(&["1-2 a ADD .2", "3-4 b ADD .2"]), "never released");
        assert!(duplicate(&["1-5 a ADD .2", "1-5 b ADD .2"]), "at the same time");
        assert!(duplicate(&["1-2 a ADD .2", "3-4 b ADD .2", "5-6 a DEL"]), "released too late");
        assert!(duplicate(&["1-2 a ADD .2", "3-4 a ADD ?", "5-6 b ADD .2"]), "a failed repetition releases nothing");
        assert!(duplicate(&["1-2 a ADD .2", "3-4 a DEL", "5-6 b ADD .2", "7-8 c ADD .3", "9-9 c DEL", "9-9 d ADD .2"]));
        assert!(duplicate(&["1-2 a ADD .2", "3-4 a DEL ?", "5-6 a ADD .2", "5-6 b ADD .2"]), "held again");
        assert!(duplicate(&["1-2 z ADD .9", "8-9 b ADD .2", "1-2 a ADD .2"]), "in whatever order they are recorded");
    }

    #[test]
    fn histories_that_can_be() {
        for lines in [
            &["1-2 a ADD .2", "3-4 a DEL", "5-6 b ADD .2"][..],
            // The release may take effect before the claim, though its process ends later.
            &["1-2 a ADD .2", "3-9 a DEL", "4-5 b ADD .2"],
            &["1-2 a ADD .2", "3-4 a DEL ?", "5-6 b ADD .2"],
            // Whatever a failed ADD claimed is not known to be this one.
            &["1-2 a ADD ?", "3-4 b ADD .2", "5-6 a DEL"],
            &["1-2 a ADD ?", "3-4 a ADD .2", "5-6 a ADD .2", "7-8 a DEL", "9-9 a DEL"],
            &["1-2 a ADD .2", "1-2 b ADD .3"],
            &["1-2 a DEL"],
        ] {
            assert!(check(&history(lines), 9).is_ok(), "{lines:?}");
        }
    }

    #[test]
    fn an_allocation_is_not_lost() {
        for second in ["3-4 a ADD .3", "3-4 a ADD full"] {
            let lost = Violation::Lost { attachment: "a".into(), held: ".2".into() };
            assert_eq!(check(&history(&["1-2 a ADD .2", second]), 0), Err(lost), "{second}");
        }
        assert!(check(&history(&["1-2 a ADD .2", "3-4 a DEL ?", "5-6 a ADD .3"]), 9).is_ok());
    }

    #[test]
    fn exhausted_is_only_what_may_be_full() {
        let full = |lines: &[&str]| check(&history(lines), 2);
        let wrong = |possible| Err(Violation::WronglyExhausted { attachment: "c".into(), possible });
        assert!(full(&["1-2 a ADD .2", "1-2 b ADD .3", "3-4 c ADD full"]).is_ok());
        assert!(full(&["1-2 a ADD .2", "1-2 b ADD ?", "3-4 c ADD full"]).is_ok(), "a failed one may hold the other");
        assert!(full(&["1-2 a ADD .2", "1-9 b ADD .3", "3-4 c ADD full"]).is_ok(), "not answered yet, claimed perhaps");
        assert!(full(&["1-2 a ADD .2", "1-2 b ADD .3", "3-5 b DEL", "4-6 c ADD full"]).is_ok());
        assert_eq!(full(&["1-2 a ADD .2", "3-4 c ADD full", "5-6 b ADD .3"]), wrong(1));
        assert_eq!(full(&["1-2 a ADD .2", "1-2 b ADD .3", "3-4 b DEL", "5-6 c ADD full"]), wrong(1));
        // Each of both at some instant of the call, never both at once.
        assert_eq!(full(&["1-2 a ADD .2", "3-4 a DEL", "5-6 b ADD .2", "2-9 c ADD full"]), wrong(1));
        assert_eq!(
            full(&["1-2 c ADD ?", "3-4 c ADD full", "1-2 a ADD .2"]),
            wrong(1),
            "it does not stand in its own way"
        );
    }

    #[test]
    fn what_stands_at_the_end() {
        let standing = check(
            &history(&["1-2 a ADD .2", "1-2 b ADD ?", "1-2 c ADD .4", "3-4 c DEL", "1-2 d ADD .5", "3-4 d DEL ?"]),
            9,
        );
        let standing = standing.unwrap();
        assert_eq!(standing.sure, [(".2".to_owned(), "a".to_owned())].into());
        assert_eq!(standing.possible, ["b".to_owned(), "d".to_owned()].into());
    }

    #[test]
    fn calls_of_one_attachment_that_overlap_are_not_judged() {
        let overlap = Violation::Overlap { attachment: "a".into() };
        assert_eq!(check(&history(&["1-3 a ADD .2", "2-4 a DEL"]), 9), Err(overlap));
    }
}
