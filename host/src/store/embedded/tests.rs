//! The contract over LMDB.

use super::*;
use crate::store::conformance::conformance;

fn fresh() -> (Embedded, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Embedded::new(&dir.path().join("data"), None), dir)
}

conformance!(fresh());
