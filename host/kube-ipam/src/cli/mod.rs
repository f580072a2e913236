//! Commands for operators and policy authors. Tables for people, `-o json` for programs.

mod agree;
mod cache;
pub mod config;
mod doctor;
mod explain;
mod export;
mod fsck;
mod history;
pub mod import;
mod install_node;
mod list;
mod map;
mod metrics;
mod network;
pub mod operator;
pub mod output;
pub mod policy;
mod progress;
pub mod reclaim;
mod release;
mod rename;
mod reserve;
mod serve;
mod show;
mod subject;
mod typed;
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
    /// List addresses in use with their holders, and addresses on hold
    List {
        #[command(flatten)]
        options: list::ListOptions,
        #[command(flatten)]
        network: NetworkArgs,
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
    /// Show who had an address, or which addresses a pod or container had, and when
    History {
        /// ADDRESS, NAMESPACE/POD or a container ID (or its beginning)
        #[arg(value_name = "ADDRESS|NAMESPACE/POD|CONTAINER")]
        subject: Subject,
        #[command(flatten)]
        options: history::HistoryOptions,
        #[command(flatten)]
        network: NetworkArgs,
    },
    /// Show which address a pod would get now, and why: every step of an ADD, without claiming anything
    Explain {
        #[command(flatten)]
        options: explain::ExplainOptions,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show how full the ranges are, and who uses them
    Usage {
        #[command(flatten)]
        options: usage::UsageOptions,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Serve a page for browsers that shows the addresses, and the same as JSON. It changes nothing
    #[command(after_help = serve::EXAMPLES)]
    Serve {
        #[command(flatten)]
        options: serve::ServeOptions,
        #[command(flatten)]
        network: NetworkArgs,
    },
    /// Draw the address space: which parts of the ranges are taken
    Map {
        #[command(flatten)]
        options: map::MapOptions,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print metrics for Prometheus: how full the ranges are, what calls came to, how etcd is
    #[command(after_help = metrics::EXAMPLES)]
    Metrics {
        #[command(flatten)]
        options: metrics::MetricsOptions,
        #[command(flatten)]
        network: NetworkArgs,
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
    /// Take addresses out of circulation, for every node at once
    Reserve {
        #[command(flatten)]
        options: reserve::ReserveOptions,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Put reserved addresses back in circulation
    Unreserve {
        #[command(flatten)]
        options: reserve::UnreserveOptions,
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
    /// Move the addresses of a network that was renamed to its new name
    Rename {
        #[command(flatten)]
        options: rename::RenameOptions,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Write the allocations, holds and reservations of a domain to a file that `import` reads
    Export {
        #[command(flatten)]
        options: export::ExportOptions,
        #[command(flatten)]
        network: NetworkArgs,
    },
    /// Check whether pods on this node can get addresses; exits 0 (all well), 1 (something to look at) or 2 (something fails)
    Doctor {
        #[command(flatten)]
        options: doctor::DoctorOptions,
        #[command(flatten)]
        cache: CacheArgs,
        #[command(flatten)]
        network: NetworkArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Install the binary, a kubeconfig, credentials, policy modules and networks on this node, and keep them up to date
    InstallNode(install_node::InstallNodeOptions),
    /// Remove from this node what install-node has installed, once the containers of its networks have ended
    UninstallNode(install_node::uninstall::UninstallNodeOptions),
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
        Command::List { options, network } => list::list(&options, &network),
        Command::Show { subject, network, output } => show::show(&subject, &network, output.output),
        Command::History { subject, options, network } => history::history(&subject, &options, &network),
        Command::Explain { options, network, output } => explain::explain(&options, &network, output.output),
        Command::Usage { options, network, output } => usage::usage(&options, &network, output.output),
        Command::Map { options, network, output } => map::map(&options, &network, output.output),
        Command::Metrics { options, network } => metrics::metrics(&options, &network),
        Command::Serve { options, network } => serve::serve(&options, &network),
        Command::Fsck { options, network, output } => fsck::fsck(&options, &network, output.output),
        Command::Reclaim { options, network, output } => reclaim::reclaim(&options, &network, output.output),
        Command::Import { options, network, output } => import::import(&options, &network, output.output),
        Command::Rename { options, output } => rename::rename(&options, output.output),
        Command::Export { options, network } => export::export(&options, &network),
        Command::Release { options, network, output } => release::release(&options, &network, output.output),
        Command::Reserve { options, network, output } => reserve::reserve(&options, &network, output.output),
        Command::Unreserve { options, network, output } => reserve::unreserve(&options, &network, output.output),
        Command::Doctor { options, cache, network, output } => {
            doctor::doctor(&options, &cache, &network, output.output)
        }
        Command::InstallNode(options) => install_node::install(options),
        Command::UninstallNode(options) => install_node::uninstall::uninstall(&options),
        Command::Config(command) => config::run(command),
        Command::Policy(command) => policy::run(command),
    };
    output::finish("kube-ipam", done)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The commands without further ones, `policy ls` as `policy-ls`, that print JSON where they are asked to.
    fn printing_json(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        for command in command.get_subcommands() {
            let path = format!("{path}{}", command.get_name());
            printing_json(command, &format!("{path}-"), found);
            let output = command.get_arguments().find(|argument| argument.get_id() == "output");
            let formats = output.map(clap::Arg::get_possible_values).unwrap_or_default();
            if formats.iter().any(|format| format.get_name() == "json") {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_command_that_prints_json_has_its_schema() {
        let mut commands = BTreeSet::new();
        printing_json(&command(), "", &mut commands);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
        let mut schemas = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            schemas.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
        assert!(commands.len() > 10);
        assert_eq!(commands, schemas);
    }
}
