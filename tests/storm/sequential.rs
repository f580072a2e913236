//! Judges a short history against an allocator that does one thing after the other: is there an order of the calls, each at
//! an instant between its start and its end, in which that allocator would have answered the same?
//!
//! ```text
//!   ADD  answers an address that is free, or the one that the attachment has; or says full, when all are held
//!   DEL  frees what the attachment has
//!   a failed call has taken effect at some instant since its start, or will, or never does
//! ```
//! The question is a search through orders, so a history is cut into windows at moments at which no call is under way; a
//! window begins with every state that the one before it may have ended with. `history` in the harness answers less, in one pass, of
//! a history of any length: only that no address had two holders at an instant, not that all answers are one story.

use std::collections::{BTreeMap, BTreeSet};

use kube_ipam_tests::history::{Event, Instant, What};

/// Who holds what.
type Held = BTreeMap<String, String>;

/// What may have come of a history so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    held: Held,
    /// Failed calls that have not taken effect yet: verb and attachment.
    pending: BTreeSet<(bool, String)>,
}

/// An allocator of so many addresses, of which the history so far is known.
#[derive(Clone, Debug)]
pub(crate) struct Sequential {
    addresses: Vec<String>,
    states: BTreeSet<State>,
}

impl Sequential {
    /// Nothing is held yet.
    pub(crate) fn new(addresses: impl IntoIterator<Item = String>) -> Self {
        Self { addresses: addresses.into_iter().collect(), states: BTreeSet::from([State::default()]) }
    }

    /// Judge the calls of the next window: all have ended, and none began before the window. False, where no order of
    /// them explains their answers. At most 128 calls.
    pub(crate) fn explains(&mut self, window: &[Event]) -> bool {
        assert!(window.len() <= 128, "a window of {} calls", window.len());
        let mut ends = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<(u128, State)> = self.states.iter().map(|state| (0, state.clone())).collect();
        let all = window.iter().enumerate().fold(0, |all, (nth, _)| all | (1 << nth));
        while let Some((done, state)) = open.pop() {
            if !seen.insert((done, state.clone())) {
                continue;
            }
            if done == all {
                ends.insert(state.clone());
            }
            open.extend(self.effects(&state).into_iter().map(|after| (done, after)));
            // What is next began before the first end of what is left.
            let left = || window.iter().enumerate().filter(|(nth, _)| done & (1 << nth) == 0);
            let first_end = left().map(|(_, event)| event.end).min().unwrap_or(Instant::MAX);
            for (nth, event) in left().filter(|(_, event)| event.start <= first_end) {
                if let Some(after) = self.step(&state, event) {
                    open.push((done | (1 << nth), after));
                }
            }
        }
        self.states = ends;
        !self.states.is_empty()
    }

    /// What the allocator would be after this answer; `None` where it would not have given it.
    fn step(&self, state: &State, event: &Event) -> Option<State> {
        let mut after = state.clone();
        let holds = state.held.iter().find(|(_, holder)| **holder == event.attachment).map(|(address, _)| address);
        match (&event.what, holds) {
            (What::Added(answered), Some(held)) => return (answered == held).then_some(after),
            (What::Added(answered), None) => {
                // What was sent earlier for this attachment is fenced by what there was then.
                after.pending.retain(|(_, attachment)| *attachment != event.attachment);
                let was_free = after.held.insert(answered.clone(), event.attachment.clone()).is_none();
                return was_free.then_some(after);
            }
            (What::Exhausted, held) => {
                return (held.is_none() && state.held.len() == self.addresses.len()).then_some(after);
            }
            // Whatever a failed ADD does afterwards, nobody is told of it: the attachment's name is never used again.
            (What::Deleted, _) => {
                after.held.retain(|_, holder| *holder != event.attachment);
                after.pending.retain(|(_, attachment)| *attachment != event.attachment);
            }
            (What::AddFailed, None) => drop(after.pending.insert((true, event.attachment.clone()))),
            (What::DelFailed, _) => drop(after.pending.insert((false, event.attachment.clone()))),
            (What::AddFailed, Some(_)) => {}
        }
        Some(after)
    }

    /// One failed call takes effect.
    fn effects(&self, state: &State) -> Vec<State> {
        let mut effects = Vec::new();
        for call @ (is_add, attachment) in &state.pending {
            let mut after = state.clone();
            after.pending.remove(call);
            if !is_add {
                after.held.retain(|_, holder| holder != attachment);
                effects.push(after);
                continue;
            }
            if state.held.values().any(|holder| holder == attachment) {
                continue;
            }
            for address in self.addresses.iter().filter(|address| !state.held.contains_key(*address)) {
                let mut claimed = after.clone();
                claimed.held.insert(address.clone(), attachment.clone());
                effects.push(claimed);
            }
        }
        effects
    }
}

mod tests {
    use kube_ipam_tests::history::check;

    use super::*;

    /// `"1-3 a ADD .2"`: from 1 to 3, an ADD of attachment a answered .2. Also `ADD full`, `ADD ?`, `DEL`, `DEL ?`.
    fn history(lines: &[&str]) -> Vec<Event> {
        let mut events = Vec::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let what = match words[2..] {
                ["ADD", "full"] => What::Exhausted,
                ["ADD", "?"] => What::AddFailed,
                ["ADD", address] => What::Added(address.to_owned()),
                ["DEL"] => What::Deleted,
                _ => What::DelFailed,
            };
            let (start, end) = words[0].split_once('-').unwrap();
            let [start, end] = [start, end].map(|text| Instant::from_secs(text.parse().unwrap()));
            events.push(Event { start, end, attachment: words[1].to_owned(), what });
        }
        events
    }

    fn explains(size: usize, windows: &[&[&str]]) -> bool {
        let mut allocator = Sequential::new((2..2 + size).map(|nth| format!(".{nth}")));
        windows.iter().all(|window| allocator.explains(&history(window)))
    }

    #[test]
    fn what_one_after_the_other_could_have_answered() {
        assert!(explains(1, &[&["1-2 a ADD .2", "3-4 b ADD full", "5-6 a DEL", "7-8 b ADD .2"]]));
        assert!(explains(1, &[&["1-9 a ADD .2", "1-9 b ADD full", "1-9 c DEL"]]), "side by side");
        assert!(explains(1, &[&["1-2 a ADD ?", "3-4 b ADD full"], &["5-6 a DEL", "7-8 b ADD .2"]]), "it had claimed");
        assert!(explains(1, &[&["1-2 a ADD ?", "3-4 b ADD .2"], &["5-6 b DEL", "7-8 c ADD full"]]), "it claims late");
        assert!(explains(2, &[&["1-2 a ADD .2", "3-4 a DEL ?", "5-6 a ADD .3"]]), "it had released");
    }

    #[test]
    fn what_no_order_explains() {
        assert!(!explains(2, &[&["1-2 a ADD .2"], &["3-4 b ADD .2"]]), "twice");
        assert!(!explains(2, &[&["1-2 a ADD .2", "3-4 b ADD full"]]), "one was free");
        assert!(!explains(2, &[&["1-2 a ADD .2", "3-4 a ADD .3"]]), "lost");
        // Each answer by itself can be: full means that a had claimed, and nobody has released that.
        let story = ["1-2 a ADD ?", "3-4 b ADD full", "5-6 c ADD .2"];
        assert!(!explains(1, &[&story]) && check(&history(&story), 1).is_ok());
    }
}
