//! Lines for the operator: they appear in the log with the module's name. In a native test they go nowhere.

/// For whoever studies a decision.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// What is worth knowing of one decision.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something is not as its author believes.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Something is broken, and nobody but the operator can repair it.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::guest::log(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(_: Level, _: &str) {}
