//! Files of ours and of others: what a configuration, an operator or an annotation names is read and never waited for; what we
//! keep is put in its place whole, and locked no longer than the caller has.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod lock;
mod regular;
mod replace;
mod rotated;

pub use lock::{lock_until, try_lock};
pub use regular::{check_appendable, check_is_file, check_regular, not_regular, read_regular};
pub use replace::{Replacement, Survives, Turn};
pub use rotated::{RotatedFile, older};
