//! `kube-ipam policy …`: for the authors of rules, one file a command.

mod build;
mod candidate;
mod case;
mod compare;
mod diff;
mod inspect;
mod install;
mod ls;
mod network;
mod replay;
mod run;
mod test;

use clap::Subcommand;

use super::output::Done;
use crate::policy::compile::COMMAND;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Build the Rust crate of a policy into a component
    Build(build::Options),
    /// A recorded decision as a case for `test`
    Case(case::Options),
    /// Where two modules decide otherwise about recorded decisions
    Diff(diff::Options),
    /// What a module is, needs and offers, and why it would be refused
    Inspect(inspect::Options),
    /// Make a module ready on this node: examined, compiled, and put in its place whole
    Install(install::Options),
    /// The modules of this node, and which of them the network uses
    Ls(ls::Options),
    /// What another module would have decided, by a record of decisions
    Replay(replay::Options),
    /// Put one request to a policy, as an ADD would
    Run(run::Options),
    /// Run cases against a module
    Test(test::Options),
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
        Command::Case(options) => case::case(&options),
        Command::Diff(options) => diff::diff(&options),
        Command::Inspect(options) => inspect::inspect(&options),
        Command::Install(options) => install::install(&options),
        Command::Ls(options) => ls::ls(&options),
        Command::Replay(options) => replay::replay(&options),
        Command::Run(options) => run::run(&options),
        Command::Test(options) => test::test(&options),
    }
}
