//! `kube-ipam policy …`: for the authors of rules, one file a command.

mod bench;
mod build;
mod candidate;
mod case;
mod check;
mod compare;
mod diff;
mod inspect;
mod install;
mod ls;
mod network;
mod new;
mod replay;
mod run;
mod simulate;
mod test;
mod trial;

use clap::Subcommand;

pub(crate) use new::NewError;

use super::output::Done;
use crate::policy::compile::COMMAND;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// What a module costs: fuel, time and memory of its decisions, and of whole processes that ask it
    Bench(bench::Options),
    /// Build a policy's project, in any of the languages of `new`, into a component
    Build(build::Options),
    /// A recorded decision as a case for `test`
    Case(case::Options),
    /// Try a module in worlds nobody thought of: what holds of every good policy
    Check(check::Options),
    /// Where two modules decide otherwise about recorded decisions
    Diff(diff::Options),
    /// What a module is, needs and offers, and why it would be refused
    Inspect(inspect::Options),
    /// Make a module ready on this node: examined, compiled, and put in its place whole
    Install(install::Options),
    /// The modules of this node, and which of them the network uses
    Ls(ls::Options),
    /// Begin a policy: a directory with a project that builds
    New(new::Options),
    /// What another module would have decided, by a record of decisions
    Replay(replay::Options),
    /// Put one request to a policy, as an ADD would
    Run(run::Options),
    /// A module under load: pods start and end by the thousand, and the report says how the address space fares
    Simulate(simulate::Options),
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
        Command::Bench(options) => bench::run(&options),
        Command::Build(options) => build::build(options),
        Command::Case(options) => case::case(&options),
        Command::Check(options) => check::check(&options),
        Command::Diff(options) => diff::diff(&options),
        Command::Inspect(options) => inspect::inspect(&options),
        Command::Install(options) => install::install(&options),
        Command::Ls(options) => ls::ls(&options),
        Command::New(options) => new::new(&options),
        Command::Replay(options) => replay::replay(&options),
        Command::Run(options) => run::run(&options),
        Command::Simulate(options) => simulate::run(options),
        Command::Test(options) => test::test(&options),
    }
}
