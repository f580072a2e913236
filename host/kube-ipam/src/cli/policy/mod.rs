//! `kube-ipam policy …`: what a node needs of it is here; an author's verbs are handed to `kube-ipam-policy`.

mod author;
pub mod inspect;
mod install;
mod ls;
mod site;

use std::ffi::OsString;

use clap::Subcommand;

pub use author::find_program;

use super::output::Done;
use engine::compile::{self, COMMAND};

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show what a module is, needs and offers, and why it would be refused
    Inspect(inspect::Options),
    /// Validate, compile and atomically install a module on this node
    Install(install::Options),
    /// List the modules on this node and which of them the network uses
    Ls(ls::Options),
    /// An author's verb, for the other program
    #[command(external_subcommand)]
    Author(Vec<OsString>),
}

/// Where the arguments are the hidden command by which the plugin asks its own program to compile a module, do so. Gives
/// the exit code.
pub fn compile_if_asked() -> Option<u8> {
    let mut arguments = std::env::args().skip(1);
    if !COMMAND.iter().all(|word| arguments.next().as_deref() == Some(word)) {
        return None;
    }
    let arguments: Vec<String> = arguments.collect();
    Some(compile::child(&arguments, std::io::stdin().lock(), std::io::stdout().lock()))
}

pub(crate) fn run(command: Command) -> Done {
    match command {
        Command::Inspect(options) => inspect::inspect(&options),
        Command::Install(options) => install::install(&options),
        Command::Ls(options) => ls::ls(&options),
        Command::Author(arguments) => author::hand_over(&arguments),
    }
}
