//! The carried bindings are what `wit-bindgen` makes of the policy world today.
//!
//! After a change of `wit/policy.wit`: `REGENERATE=1 cargo test -p kube-ipam-policy --test bindings`.

use std::fs;
use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::Opts;

#[test]
fn carried_bindings_match_the_world() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let carried = here.join("src/guest/bindings.rs");
    let generated = generate(&here.join("../../wit")).unwrap();
    if std::env::var_os("REGENERATE").is_some() {
        fs::write(&carried, &generated).unwrap();
    }
    let carried = fs::read_to_string(&carried).unwrap_or_default();
    assert!(carried == generated, "src/guest/bindings.rs is not what wit-bindgen generates: run with REGENERATE=1");
}

fn generate(wit: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some("allocation-policy"))?;
    let options = Opts { format: true, pub_export_macro: true, generate_all: true, ..Opts::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let sources: Vec<&str> = files.iter().map(|(_, source)| std::str::from_utf8(source)).collect::<Result<_, _>>()?;
    Ok(format!("//! Generated from `wit/policy.wit` by `wit-bindgen`; see `tests/bindings.rs`.\n{}", sources.concat()))
}
