//! What is said where a machine does not offer what a test needs.

/// Something is not tested here, and whoever runs the tests is told so. In CI nothing may go untested.
#[allow(clippy::print_stderr, reason = "whoever runs the tests shall know what they did not prove")]
pub fn untested(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI has to test {what}: {why}");
    eprintln!("{what} is not tested: {why}");
}
