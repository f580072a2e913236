//! A component that is valid in every detail, and made at random: nothing may come of it but a refusal.
#![no_main]

use kube_ipam_fuzz::load;
use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::{Corpus, fuzz_target};
use wasm_smith::{Component, Config};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match Component::new(Config::default(), &mut Unstructured::new(bytes)) {
        Ok(component) => {
            load(&component.to_bytes());
            Corpus::Keep
        }
        Err(_) => Corpus::Reject,
    }
});
