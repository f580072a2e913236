//! What happens next, wherever more than one thing may: a schedule is the list of these choices, and nothing else.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One choice: what was taken, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub picked: u32,
    pub of: u32,
}

/// Makes the choices of one schedule after the other.
pub struct Choices {
    taken: Vec<Taken>,
    at: usize,
    /// Makes the choices beyond those that are given; the first of each without it.
    random: Option<ChaCha8Rng>,
}

impl Choices {
    /// The first schedule of all.
    pub fn exhaustive() -> Self {
        Self { taken: Vec::new(), at: 0, random: None }
    }

    /// A schedule that is written down.
    pub fn replayed(picked: &[u32]) -> Self {
        let taken = picked.iter().map(|&picked| Taken { picked, of: u32::MAX }).collect();
        Self { taken, at: 0, random: None }
    }

    /// A schedule by a number.
    pub fn random(seed: u64) -> Self {
        Self { taken: Vec::new(), at: 0, random: Some(ChaCha8Rng::seed_from_u64(seed)) }
    }

    /// Choose one of so many. The first is the one that departs least from calls that run one after the other.
    pub fn choose(&mut self, of: usize) -> usize {
        if of < 2 {
            return 0;
        }
        let of = of as u32;
        if self.at == self.taken.len() {
            let picked = match &mut self.random {
                Some(random) => random.next_u32() % of,
                None => 0,
            };
            self.taken.push(Taken { picked, of });
        }
        let taken = &mut self.taken[self.at];
        taken.of = taken.of.min(of);
        taken.picked = taken.picked.min(of - 1);
        self.at += 1;
        taken.picked as usize
    }

    /// Go on to the next schedule; false where this was the last one.
    pub fn advance(&mut self) -> bool {
        self.taken.truncate(self.at);
        self.at = 0;
        while let Some(last) = self.taken.last_mut() {
            last.picked += 1;
            if last.picked < last.of {
                return true;
            }
            self.taken.pop();
        }
        false
    }

    /// What was chosen so far.
    pub fn picked(&self) -> Vec<u32> {
        self.taken[..self.at].iter().map(|taken| taken.picked).collect()
    }
}
