//! Slots as a policy is told them: which are taken, or some that are free.
//!
//! ```text
//!   0 ······················ near ▓▓▓▓▓▓▓▓░░▓▓ ················· limit ·········
//!                                 window: listed                       nothing may be taken there
//!     ▓▓▓▓▓▓▓▓ ▓▓▓▓▓░▓▓ ▓▓▓▓▓▓▓▓               ▓▓▓▓▓▓▓▓ ▓▓▓▓▓▓▓▓       where the window has too few: counted in parts, and
//!              listed                                                  the parts that are not full are listed
//! ```
//!
//! Contenders begin at different places, so that none has to read what all the others have taken, nor wants the same slot as they.

use super::batch::{Batch, ScanTicket};
use super::error::StoreError;
use super::keys::slot_number_in;
use super::ordered::Entry;
use super::reading::Reading;
use ipam::SlotsWanted;
use limits::store::{COUNTED_PARTS, SLOTS_AT_ONCE, TAKEN_SLOTS, UNMARKED_AT_ONCE};

/// Numbers from the first to the last.
type Part = (u32, u32);

impl Reading {
    /// A slot is taken whatever its value says: nobody else can take it.
    pub(super) async fn taken_slots(&mut self, name: &str) -> Result<Vec<u32>, StoreError> {
        let mut batch = self.batch();
        let slots = batch.first_keys(self.keys.slots_of(name), TAKEN_SLOTS);
        let mut answers = self.read(batch).await?;
        Ok(answers.scan(slots).entries.iter().filter_map(|entry| slot_number_in(&entry.key)).collect())
    }

    /// The first free slots from a number on; `None` where one is taken that should not be. `own` are free for whoever asks.
    pub(super) async fn free_slots(
        &mut self,
        wanted: &SlotsWanted,
        own: &[u32],
    ) -> Result<Option<Vec<u32>>, StoreError> {
        let (window, rest) = cut(wanted.turn(), SLOTS_AT_ONCE);
        let mut batch = self.batch();
        let beyond = batch.first_keys(self.keys.slots_in(&wanted.name, (wanted.limit, u32::MAX)), own.len() + 1);
        let listed = self.list(&mut batch, wanted, window);
        let mut answers = self.read(batch).await?;
        let beyond = answers.scan(beyond).entries;
        if beyond.iter().filter_map(|entry| slot_number_in(&entry.key)).any(|number| !own.contains(&number)) {
            return Ok(None);
        }
        let mut free = Vec::new();
        for (part, ticket) in listed {
            free.extend(free_in(part, &answers.scan(ticket).entries, own));
        }
        if free.len() < wanted.count as usize && !rest.is_empty() {
            self.free_slots_in(rest, wanted, own, &mut free).await?;
        }
        free.truncate(wanted.count as usize);
        Ok(Some(free))
    }

    /// More free slots, of parts of a crowded list: those that are full are only counted.
    async fn free_slots_in(
        &mut self,
        mut rest: Vec<Part>,
        wanted: &SlotsWanted,
        own: &[u32],
        free: &mut Vec<u32>,
    ) -> Result<(), StoreError> {
        let size = wanted.limit.div_ceil(u32::try_from(COUNTED_PARTS).unwrap_or(1));
        let mut batch = self.batch();
        let mut counts = Vec::new();
        while !rest.is_empty() {
            let (parts, others) = cut(rest, size);
            for part in parts {
                counts.push((part, batch.count(self.keys.slots_in(&wanted.name, part))));
            }
            rest = others;
        }
        let mut answers = self.read(batch).await?;
        let mut with_room = Vec::new();
        for ((first, last), count) in counts {
            let own = own.iter().filter(|number| (first..=last).contains(number)).count() as u64;
            if answers.count(count) <= u64::from(last - first) + own {
                with_room.push((first, last));
            }
        }
        for parts in with_room.chunks(UNMARKED_AT_ONCE) {
            if free.len() >= wanted.count as usize {
                break;
            }
            let mut batch = self.batch();
            let listed = self.list(&mut batch, wanted, parts.to_vec());
            let mut answers = self.read(batch).await?;
            for (part, ticket) in listed {
                free.extend(free_in(part, &answers.scan(ticket).entries, own));
            }
        }
        Ok(())
    }

    fn list(&self, batch: &mut Batch, wanted: &SlotsWanted, parts: Vec<Part>) -> Vec<(Part, ScanTicket)> {
        let mut listed = Vec::with_capacity(parts.len());
        for part in parts {
            // Twice as many, so that a stray key in between hides no slot.
            let most = (part.1 - part.0) as usize * 2 + 2;
            listed.push((part, batch.first_keys(self.keys.slots_in(&wanted.name, part), most)));
        }
        listed
    }
}

/// The first so many numbers of the parts, and what is left of them.
fn cut(parts: Vec<Part>, mut size: u32) -> (Vec<Part>, Vec<Part>) {
    let (mut front, mut rest) = (Vec::new(), Vec::new());
    for (first, last) in parts {
        let length = last - first + 1;
        if size == 0 {
            rest.push((first, last));
        } else if length <= size {
            front.push((first, last));
            size -= length;
        } else {
            front.push((first, first + size - 1));
            rest.push((first + size, last));
            size = 0;
        }
    }
    (front, rest)
}

fn free_in((first, last): Part, taken: &[Entry], own: &[u32]) -> Vec<u32> {
    let taken: Vec<u32> = taken.iter().filter_map(|entry| slot_number_in(&entry.key)).collect();
    (first..=last).filter(|number| own.contains(number) || taken.binary_search(number).is_err()).collect()
}
