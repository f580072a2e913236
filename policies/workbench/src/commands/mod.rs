//! The commands of `kube-ipam-policy`, one file a command. `kube-ipam policy VERB` hands over to them.

mod bench;
mod build;
mod candidate;
mod case;
mod check;
mod compare;
mod diff;
mod new;
mod replay;
mod run;
mod simulate;
mod test;
mod trial;

use clap::{Parser, Subcommand};

use kube_ipam::cli::output::{self, Done};
use kube_ipam::cli::policy::{compile_if_asked, inspect};

/// The command line.
#[derive(Parser, Debug)]
#[command(name = "kube-ipam-policy", version, about = "Write, build, test and measure policies for kube-ipam")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Measure what a module costs: fuel, time and memory of its decisions, and of whole ADDs
    Bench(bench::Options),
    /// Build a policy project, in any of the languages of `new`, into a component
    Build(build::Options),
    /// Turn a recorded decision into a test case
    Case(case::Options),
    /// Test a module's general properties in randomly generated scenarios
    Check(check::Options),
    /// Show recorded decisions on which two modules differ
    Diff(diff::Options),
    /// Show what a module is, needs and offers, and why it would be refused
    Inspect(inspect::Options),
    /// Create a policy project that builds as it is
    New(new::Options),
    /// Replay recorded decisions with another module and show what changes
    Replay(replay::Options),
    /// Put one request to a policy, as an ADD would
    Run(run::Options),
    /// Simulate a module under load: pods start and end by the thousand, and a report shows the address space
    Simulate(simulate::Options),
    /// Run cases against a module
    Test(test::Options),
}

/// Run the command of this process's arguments. Gives the exit code.
pub fn run() -> u8 {
    if let Some(exit) = compile_if_asked() {
        return exit;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    kube_ipam::telemetry::to_stderr();
    output::finish("kube-ipam-policy", run_command(cli.command))
}

fn run_command(command: Command) -> Done {
    match command {
        Command::Bench(options) => bench::run(&options),
        Command::Build(options) => build::build(options),
        Command::Case(options) => case::case(&options),
        Command::Check(options) => check::check(&options),
        Command::Diff(options) => diff::diff(&options),
        Command::Inspect(options) => inspect::inspect(&options),
        Command::New(options) => new::new(&options),
        Command::Replay(options) => replay::replay(&options),
        Command::Run(options) => run::run(&options),
        Command::Simulate(options) => simulate::run(options),
        Command::Test(options) => test::test(&options),
    }
}
