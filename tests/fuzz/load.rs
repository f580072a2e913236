//! Bytes as the module of a network.

use std::fs;
use std::sync::LazyLock;

use limits::Limits;
use engine::{Compiler, Source};
use tempfile::TempDir;

use hostile::survival::survives;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary directory"));

/// Whether they could be loaded. Compiles in this process: a panic is seen.
pub fn load(module: &[u8]) -> bool {
    let path = FOLDER.path().join("fuzz.wasm");
    fs::write(&path, module).expect("a file in a temporary directory");
    let limits = Limits { fuel: 1_000_000, memory_mib: 16, milliseconds: 500, ..Limits::default() };
    let source = Source { limits, compiler: Compiler::InProcess, ..Source::alone(Some(&path)) };
    survives(&source, "this module")
}
