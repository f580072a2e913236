//! `kube-ipam policy …`: for the authors of rules, one file a command.

mod bench;
mod build;
mod inspect;
mod simulate;
mod trial;

use clap::Subcommand;

use super::output::Done;
use crate::policy::compile::COMMAND;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Build the Rust crate of a policy into a component
    Build(build::Options),
    /// What a module costs: fuel, time and memory of its decisions, and of whole processes that ask it
    Bench(bench::Options),
    /// What a module is, needs and offers, and why it would be refused
    Inspect(inspect::Options),
    /// A module under load: pods start and end by the thousand, and the report says how the address space fares
    Simulate(simulate::Options),
}

/// The arguments after the hidden command by which the plugin asks its own program to compile a module.
pub(crate) fn compiling_child() -> Option<Vec<String>> {
    let mut arguments = std::env::args().skip(1);
    let is_child = COMMAND.iter().all(|word| arguments.next().as_deref() == Some(word));
    is_child.then(|| arguments.collect())
}

pub(crate) fn run(command: Command) -> Done {
    match command {
        Command::Build(options) => build::build(options),
        Command::Bench(options) => bench::run(&options),
        Command::Inspect(options) => inspect::inspect(&options),
        Command::Simulate(options) => simulate::run(options),
    }
}
