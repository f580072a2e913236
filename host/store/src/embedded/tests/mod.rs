//! The contract over LMDB; many processes at once, some of them killed; and everything that can be wrong with a file.

mod errors;
mod full;
mod model;
mod processes;
mod timings;

use super::*;
use crate::conformance::conformance;

fn fresh() -> (Embedded, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Embedded::new(&dir.path().join("data"), None), dir)
}

conformance!(fresh());
