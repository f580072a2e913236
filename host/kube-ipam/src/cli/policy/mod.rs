//! `kube-ipam policy …`: the commands that a node needs. Those for policy authors are handed to `kube-ipam-policy`.

mod author;
pub mod inspect;
mod install;
mod ls;
mod site;
pub mod trust;

use std::ffi::OsString;

use clap::Subcommand;

pub use author::find_program;
pub(crate) use site::compiled_below;

use super::output::Done;
use engine::compile::{self, COMMAND};

#[derive(Subcommand, Debug)]
pub(crate) enum PolicyCommand {
    /// Show what a module is, needs and offers, and why it would be refused
    Inspect(inspect::InspectOptions),
    /// Validate, compile and atomically install a module on this node
    Install(install::PolicyInstallOptions),
    /// List the modules on this node, and which of them its networks use
    Ls(ls::LsOptions),
    /// A command for policy authors
    #[command(external_subcommand)]
    Author(Vec<OsString>),
}

/// Compiles a module, if that is what the arguments ask for: the plugin calls its own program with a hidden command, because
/// a module may be built to make a compiler work for hours, and a child can be given little time and memory. Returns the
/// exit code.
pub fn compile_if_asked() -> Option<u8> {
    let mut arguments = std::env::args().skip(1);
    if !COMMAND.iter().all(|word| arguments.next().as_deref() == Some(word)) {
        return None;
    }
    let arguments: Vec<String> = arguments.collect();
    Some(compile::child(&arguments, std::io::stdin().lock(), std::io::stdout().lock()))
}

pub(crate) fn run(command: PolicyCommand) -> Done {
    match command {
        PolicyCommand::Inspect(options) => inspect::inspect(&options),
        PolicyCommand::Install(options) => install::install(&options),
        PolicyCommand::Ls(options) => ls::ls(&options),
        PolicyCommand::Author(arguments) => author::hand_over(&arguments),
    }
}
