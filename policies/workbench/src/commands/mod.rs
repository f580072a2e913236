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
