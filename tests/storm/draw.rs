//! Numbers at random that a seed brings back, the same on every machine.

/// SplitMix64: where the next number comes from.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub(crate) fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    pub(crate) fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

/// The seed that `KUBE_IPAM_SEED` names, or one of this moment. It is printed: with the same one, everything is drawn again.
pub(crate) fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = std::env::var("KUBE_IPAM_SEED").map_or(u64::from(now), |seed| seed.parse().unwrap());
    eprintln!("KUBE_IPAM_SEED={seed} begins with the same plan");
    seed
}

/// A number that a `make` target passes on, as `SECONDS=600`; without it, what suits a run of all tests.
pub(crate) fn asked(variable: &str, otherwise: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        _ => otherwise,
    }
}
