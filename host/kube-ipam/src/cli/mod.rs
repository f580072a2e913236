//! Commands for operators and policy authors. Tables for people, `-o json` for programs.

mod agree;
mod cache;
pub mod config;
mod doctor;
mod fsck;
mod import;
mod install_node;
mod list;
mod network;
pub mod output;
pub mod policy;
mod progress;
mod reclaim;
mod release;
mod show;
mod subject;
mod usage;

use clap::{CommandFactory, Parser, Subcommand};

use cache::CacheArgs;
use network::NetworkArgs;
pub use output::{Format, Output, OutputArgs};
use subject::Subject;

/// The command line. Where a container runtime calls the program (CNI_COMMAND is set), it is a CNI plugin instead.
#[derive(Parser, Debug)]
#[command(name = "kube-ipam", version, about = "CNI IPAM plugin whose allocation rules are WebAssembly policies")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List addresses in use and their holders
    List {
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show details of an address, a pod or a container
    Show {
        /// ADDRESS, NAMESPACE/POD or a container ID (or its beginning)
        #[arg(value_name = "ADDRESS|NAMESPACE/POD|CONTAINER")]
        subject: Subject,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show how full the ranges are
    Usage {
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Check the store for inconsistent records, or against the containers and pods that run; repair it with --repair
    Fsck {
        #[command(flatten)]
        options: fsck::FsckOptions,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Release the addresses of pods that are gone
    Reclaim {
        #[command(flatten)]
        options: reclaim::ReclaimOptions,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Release one claim, or end a hold or cool-down, by hand
    Release {
        #[command(flatten)]
        options: release::ReleaseOptions,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Take over the addresses that another IPAM plugin has given out
    Import {
        #[command(flatten)]
        options: import::ImportOptions,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Check whether pods on this node can get addresses
    Doctor {
        #[command(flatten)]
        cache: CacheArgs,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Install the binary, a kubeconfig and policy modules on this node, and keep them up to date
    InstallNode(install_node::InstallNodeOptions),
    /// Check network configurations and print their schema
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Manage policy modules; the commands for policy authors are handed to kube-ipam-policy
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

/// The command line as data, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Run the command that this process's arguments name. Returns the exit code.
pub fn run() -> u8 {
    if std::env::args_os().len() == 1 {
        return output::about();
    }
    // Before the command line is parsed: an ADD waits for this child to compile its module.
    if let Some(exit) = policy::compile_if_asked() {
        return exit;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    crate::telemetry::to_stderr();
    let done = match cli.command {
        Command::List { network, output } => list::list(&network, output.output),
        Command::Show { subject, network, output } => show::show(&subject, &network, output.output),
        Command::Usage { network, output } => usage::usage(&network, output.output),
        Command::Fsck { options, network, output } => fsck::fsck(&options, &network, output.output),
        Command::Reclaim { options, network, output } => reclaim::reclaim(&options, &network, output.output),
        Command::Import { options, network, output } => import::import(&options, &network, output.output),
        Command::Release { options, network, output } => release::release(&options, &network, output.output),
        Command::Doctor { cache, network, output } => doctor::doctor(&cache, &network, output.output),
        Command::InstallNode(options) => install_node::install(options),
        Command::Config(command) => config::run(command),
        Command::Policy(command) => policy::run(command),
    };
    output::finish("kube-ipam", done)
}
