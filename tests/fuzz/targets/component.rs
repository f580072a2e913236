//! A component that is valid in every detail, and made at random: nothing may come of it but a refusal.
#![no_main]

#[path = "../../../host/kube-ipam/tests/guests/question.rs"]
mod guests;
#[path = "../load.rs"]
mod load;
#[path = "../survival.rs"]
mod survival;

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::{Corpus, fuzz_target};
use wasm_smith::{Component, Config};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match Component::new(Config::default(), &mut Unstructured::new(bytes)) {
        Ok(component) => {
            load::load(&component.to_bytes());
            Corpus::Keep
        }
        Err(_) => Corpus::Reject,
    }
});
