//! What a module is, read from its bytes without compiling or running any of it: a component or not, what it imports
//! and exports, and every reason to refuse it that can be seen from there.

use std::sync::LazyLock;

use wasmparser::{Encoding, Parser, Payload};

use super::error::Flaw;
use super::text::tame;
use limits::{FLAWS, MODULE, TEXT};

/// The package whose world policies implement, as named in `wit/policy.wit`.
pub(super) const PACKAGE: &str = "kube-ipam:policy";
/// The version of that package.
pub(super) const VERSION: &str = "0.1.0";

/// What a policy may import.
const IMPORTS: [&str; 3] = ["types", "pool", "log"];
/// What a policy must export.
const EXPORT: &str = "allocator";
/// The full name of that export.
pub(super) static ALLOCATOR: LazyLock<String> = LazyLock::new(|| ours(EXPORT));

/// What was found in a module.
#[derive(Clone, Debug, Default)]
pub(super) struct Examined {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) flaws: Vec<Flaw>,
}

/// Read a module's outline.
pub(super) fn examine(bytes: &[u8]) -> Examined {
    match outline(bytes) {
        Ok(mut examined) => {
            examined.flaws = outside_the_world(&examined);
            examined
        }
        Err(flaw) => Examined { flaws: vec![flaw], ..Examined::default() },
    }
}

fn outline(bytes: &[u8]) -> Result<Examined, Flaw> {
    if bytes.is_empty() {
        return Err(Flaw::Empty);
    }
    if bytes.len() as u64 > MODULE.default << 20 {
        return Err(Flaw::TooLarge { bytes: bytes.len() as u64, most_mib: MODULE.default });
    }
    if !bytes.starts_with(b"\0asm") {
        let start: String = bytes.iter().take(8).map(|byte| format!("{byte:02x} ")).collect();
        return Err(Flaw::NotWasm(start.trim_end().to_owned()));
    }
    let mut examined = Examined::default();
    // Modules and components inside the outermost one have imports of their own, which are not ours to answer.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(corrupt)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Err(Flaw::CoreModule),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    examined.imports.push(name(import.map_err(corrupt)?.name.name));
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    examined.exports.push(name(export.map_err(corrupt)?.name.name));
                }
            }
            _ => {}
        }
    }
    Ok(examined)
}

fn outside_the_world(examined: &Examined) -> Vec<Flaw> {
    let mut flaws: Vec<Flaw> = examined.imports.iter().filter_map(|import| flaw_of_import(import)).collect();
    let expected = ALLOCATOR.clone();
    if !examined.exports.contains(&expected) {
        flaws.push(match other_version(&examined.exports, EXPORT) {
            Some(found) => Flaw::Version { found, expected },
            None => Flaw::NoExport(expected),
        });
    }
    // A hostile module may import as many strange things as it has bytes; people read a few.
    flaws.dedup();
    flaws.truncate(FLAWS);
    flaws
}

fn flaw_of_import(import: &str) -> Option<Flaw> {
    if IMPORTS.iter().any(|interface| ours(interface) == import) {
        return None;
    }
    if let Some(interface) = IMPORTS.iter().find(|interface| is_another_version(import, interface)) {
        return Some(Flaw::Version { found: import.to_owned(), expected: ours(interface) });
    }
    if import.starts_with("wasi:") || import.starts_with("wasi_") {
        return Some(Flaw::Wasi(import.to_owned()));
    }
    Some(Flaw::Import(import.to_owned()))
}

fn other_version(names: &[String], interface: &str) -> Option<String> {
    names.iter().find(|name| is_another_version(name, interface)).cloned()
}

fn is_another_version(name: &str, interface: &str) -> bool {
    let stem = name.split_once('@').map_or(name, |(stem, _)| stem);
    stem.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) == Some(interface) && name != ours(interface)
}

fn ours(interface: &str) -> String {
    format!("{PACKAGE}/{interface}@{VERSION}")
}

fn name(name: &str) -> String {
    tame(name, TEXT.default)
}

fn corrupt(error: wasmparser::BinaryReaderError) -> Flaw {
    Flaw::Corrupt(format!("{} at byte {}", tame(error.message(), TEXT.default), error.offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_wit() {
        let wit = include_str!("../../../wit/policy.wit");
        assert!(wit.contains(&format!("package {PACKAGE}@{VERSION};")));
    }

    #[test]
    fn versions_are_told_apart_from_strangers() {
        assert!(is_another_version("kube-ipam:policy/allocator@0.2.0", "allocator"));
        assert!(is_another_version("kube-ipam:policy/allocator", "allocator"));
        assert!(!is_another_version("kube-ipam:policy/allocator@0.1.0", "allocator"));
        assert!(!is_another_version("kube-ipam:policyx/allocator@0.2.0", "allocator"));
    }
}
