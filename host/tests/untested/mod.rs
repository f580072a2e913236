//! What a machine has to offer for some tests, and what is said where it does not.

/// Whether this is root. Otherwise whoever runs the tests is told what they do not prove, and CI fails.
#[allow(clippy::print_stderr, unreachable_pub, reason = "whoever runs the tests shall know what they did not prove")]
pub fn is_root(what: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "CI runs as root, and has to test {what}");
    eprintln!("{what} is not tested: it needs root");
    false
}
