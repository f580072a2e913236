//! `kube-ipam policy …`: for the authors of rules, one file a command.

mod build;
mod inspect;
mod new;

use clap::Subcommand;

pub(crate) use new::NewError;

use super::output::Done;
use crate::policy::compile::COMMAND;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Begin a policy: a directory with a project that builds
    New(new::Options),
    /// Build a policy's project, in any of the languages of `new`, into a component
    Build(build::Options),
    /// What a module is, needs and offers, and why it would be refused
    Inspect(inspect::Options),
}

/// The arguments after the hidden command by which the plugin asks its own program to compile a module.
pub(crate) fn compiling_child() -> Option<Vec<String>> {
    let mut arguments = std::env::args().skip(1);
    let is_child = COMMAND.iter().all(|word| arguments.next().as_deref() == Some(word));
    is_child.then(|| arguments.collect())
}

pub(crate) fn run(command: Command) -> Done {
    match command {
        Command::New(options) => new::new(&options),
        Command::Build(options) => build::build(options),
        Command::Inspect(options) => inspect::inspect(&options),
    }
}
