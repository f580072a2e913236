//! The question that a command asks before it changes anything.

use std::io::{self, BufRead, IsTerminal};

use super::output;

/// Show a plan and ask for agreement. Without a terminal the answer is no: a script has to say `--yes`.
pub(crate) fn agreed_to(plan: &str) -> bool {
    let stdin = io::stdin();
    if !stdin.is_terminal() || !output::ask(&format!("{plan}\nproceed? [y/N] ")) {
        return false;
    }
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
