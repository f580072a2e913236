//! Removes the names of functions, which are for people with a debugger. wasmtime keeps them in the compiled form and
//! reads every one of them whenever it loads that, though nothing here asks for them: for a Python policy this is a fifth
//! of the time that loading takes.

use std::borrow::Cow;

use wasmparser::{Parser, Payload};

/// The custom section of names, by the core specification's appendix "Custom Sections".
const SECTION: &str = "name";
/// The name that the section gets instead, under which no reader looks for it. It is as long as the other, so that no
/// byte behind it moves.
const UNKNOWN: &str = "gone";

/// The same module without the names of its functions. One that cannot be parsed stays as it is; its compiler says why.
pub fn without_names(wasm: &[u8]) -> Cow<'_, [u8]> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload {
            Ok(Payload::CustomSection(section)) if section.name() == SECTION => sections.push(section.data_offset()),
            Ok(_) => {}
            Err(_) => return Cow::Borrowed(wasm),
        }
    }
    let mut wasm = Cow::Borrowed(wasm);
    for end in sections {
        wasm.to_mut()[end - SECTION.len()..end].copy_from_slice(UNKNOWN.as_bytes());
    }
    wasm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_compiled_form_has_a_function_s_name() {
        let text = r#"(component (core module (func $alice)) (component (core module (func $bob))))"#;
        let wasm = wat::parse_str(text).unwrap();
        let anonymous = without_names(&wasm);
        assert_eq!(anonymous.len(), wasm.len());
        let engine = crate::compiling("x86_64-unknown-linux-musl").unwrap();
        let says = |wasm: &[u8], name: &str| {
            let code = engine.precompile_component(wasm).unwrap();
            code.windows(name.len()).any(|part| part == name.as_bytes())
        };
        for name in ["alice", "bob"] {
            assert!(says(&wasm, name) && !says(&anonymous, name), "{name}");
        }
    }

    #[test]
    fn what_has_no_names_or_is_no_module_stays_as_it_is() {
        let nameless = wat::parse_str("(component (core module (func)))").unwrap();
        for wasm in [&nameless[..], &nameless[..nameless.len() - 1], b"\0asm", b""] {
            assert!(matches!(without_names(wasm), Cow::Borrowed(same) if same == wasm), "{wasm:?}");
        }
    }
}
