//! Any bytes as a module: loaded as a network's policy, asked who it is, and asked for an address. A panic, a hang beyond
//! the limits, or a harmful answer is a finding.
#![no_main]

#[path = "../../../host/kube-ipam/tests/guests/question.rs"]
mod guests;
#[path = "../load.rs"]
mod load;
#[path = "../survival.rs"]
mod survival;

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|module: &[u8]| -> Corpus {
    load::load(module);
    Corpus::Keep
});
