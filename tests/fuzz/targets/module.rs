//! Any bytes as a module: loaded as a network's policy, asked who it is, and asked for an address. A panic, a hang beyond
//! the limits, or a harmful answer is a finding.
#![no_main]

use kube_ipam_fuzz::load;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|module: &[u8]| -> Corpus {
    load(module);
    Corpus::Keep
});
