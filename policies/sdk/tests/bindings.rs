//! The carried bindings, of Rust and of C, are what `wit-bindgen` makes of the policy world today.
//!
//! After a change of `wit/policy.wit`: `REGENERATE=1 cargo test -p kube-ipam-policy --test sdk bindings`.

use std::fs;
use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::Opts;

#[test]
fn carried_bindings_match_the_world() {
    let options = Opts { format: true, pub_export_macro: true, generate_all: true, ..Opts::default() };
    let files = generate(&mut options.build());
    let sources: Vec<&str> = files.iter().map(|(_, source)| std::str::from_utf8(source).unwrap()).collect();
    let origin = "//! Generated from `wit/policy.wit` by `wit-bindgen`; see `tests/bindings.rs`.\n";
    is_carried(&here().join("src/guest/bindings.rs"), (origin.to_owned() + &sources.concat()).as_bytes());
}

#[test]
fn the_carried_bindings_of_c_are_what_the_generator_makes() {
    let options = wit_bindgen_c::Opts { no_object_file: true, ..wit_bindgen_c::Opts::default() };
    let files = generate(&mut *options.build());
    assert_eq!(files.iter().count(), 2);
    for (name, generated) in files.iter() {
        is_carried(&here().join("../builders/templates/c/bindings").join(name), generated);
    }
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generate(generator: &mut dyn WorldGenerator) -> Files {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(here().join("../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("allocation-policy")).unwrap();
    let mut files = Files::default();
    generator.generate(&mut resolve, world, &mut files).unwrap();
    files
}

fn is_carried(file: &Path, generated: &[u8]) {
    if std::env::var_os("REGENERATE").is_some() {
        fs::write(file, generated).unwrap();
    }
    let same = fs::read(file).unwrap_or_default() == generated;
    assert!(same, "{} is not what wit-bindgen generates: run with REGENERATE=1", file.display());
}
