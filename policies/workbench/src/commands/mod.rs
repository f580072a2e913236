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
mod run_cases;
mod sign;
mod simulate;
mod trial;

use clap::{CommandFactory, Parser, Subcommand};

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
    /// Measure fuel, time and memory of a module's decisions and of whole ADDs
    Bench(bench::BenchOptions),
    /// Build a policy project into a component
    Build(build::BuildOptions),
    /// Turn a recorded decision into a test case
    Case(case::CaseOptions),
    /// Test a module's general properties in randomly generated scenarios
    Check(check::CheckOptions),
    /// Show recorded decisions on which two modules differ
    Diff(diff::DiffOptions),
    /// Show a module's description and interface, and why the host would refuse it
    Inspect(inspect::InspectOptions),
    /// Make a pair of keys to sign modules with
    Keygen(sign::KeygenOptions),
    /// Create a policy project that builds as it is
    New(new::NewOptions),
    /// Replay recorded decisions with another module and show what changes
    Replay(replay::ReplayOptions),
    /// Put one request to a policy, as an ADD would
    Run(run::RunOptions),
    /// Sign a module, so that nodes can tell whose it is
    Sign(sign::SignOptions),
    /// Simulate a module under load: start and end thousands of pods, and report on the address space
    Simulate(simulate::SimulateOptions),
    /// Run test cases against a module
    Test(run_cases::TestOptions),
}

/// The command line as data, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Run the command that this process was started for. Gives the exit code.
pub fn run() -> u8 {
    // Loading a module starts this very program as a child that compiles it: then there is no command line to parse.
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
        Command::Keygen(options) => sign::keygen(&options),
        Command::New(options) => new::new(&options),
        Command::Replay(options) => replay::replay(&options),
        Command::Run(options) => run::run(&options),
        Command::Sign(options) => sign::sign(&options),
        Command::Simulate(options) => simulate::run(options),
        Command::Test(options) => run_cases::run_cases(&options),
    }
}
