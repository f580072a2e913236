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
mod usage;
mod what;

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use cache::CacheArgs;
pub use output::Output;

/// The command line. Called by a container runtime (CNI_COMMAND set), the program is a CNI plugin instead.
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
        #[arg(value_name = "ADDRESS|NAMESPACE/POD|CONTAINER", value_parser = what::named)]
        what: String,
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
        options: fsck::Options,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Release the addresses of pods that are gone
    Reclaim {
        #[command(flatten)]
        options: reclaim::Options,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Release one claim, or end a hold or cool-down, by hand
    Release {
        #[command(flatten)]
        options: release::Options,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Take over the addresses that another IPAM plugin has given out
    Import {
        #[command(flatten)]
        options: import::Options,
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
    InstallNode(install_node::Options),
    /// Check network configurations and print their schema
    #[command(subcommand)]
    Config(config::Command),
    /// Manage policy modules; author's verbs are handed to kube-ipam-policy
    #[command(subcommand)]
    Policy(policy::Command),
}

/// Which network a command is about.
#[derive(Args, Debug)]
pub(crate) struct NetworkArgs {
    /// The network's configuration (.conf or .conflist); by default the first kube-ipam network under /etc/cni/net.d
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
}

impl NetworkArgs {
    /// The network of this file.
    pub(crate) fn of(file: &Path) -> Self {
        Self { conf: Some(file.to_owned()) }
    }
}

#[derive(Args, Debug)]
pub struct OutputArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// Run the command of this process's arguments. Gives the exit code.
pub fn run() -> u8 {
    if std::env::args_os().len() == 1 {
        return output::about();
    }
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
        Command::Show { what, network, output } => show::show(&what, &network, output.output),
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
