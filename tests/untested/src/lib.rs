//! What a machine has to offer for some tests, and what is said where it does not.

/// Whether this is root. Otherwise whoever runs the tests is told what they do not prove, and CI fails.
pub fn is_root(what: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        untested(what, "it needs root");
    }
    is_root
}

/// Something is not tested here. In CI nothing may go untested.
#[allow(clippy::print_stderr, reason = "whoever runs the tests shall know what they did not prove")]
pub fn untested(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI has to test {what}: {why}");
    eprintln!("{what} is not tested: {why}");
}
