//! `kube-ipam config`: is a configuration right, and what may stand in one?
//!
//! ```text
//!   paths ── sources ──► every network of ours in them ── check ──┬── errors    an ADD would fail
//!            files, directories,                                  ├── doubts    it works, and something bites later
//!            objects for Multus                                   ├── named     the files that it names
//!                                                                 └── between   what two networks share
//! ```

mod attachment;
mod check;
mod named;
mod report;
mod sources;
mod twice;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use check::check;
pub use named::Files;
pub use report::{Finding, Report, Severity};

use super::network::DIRECTORY;
use super::output::{Done, Output};
use super::{Format, OutputArgs};
use crate::config::unknown::schema;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Report errors, unknown keys and doubtful settings in configurations; exits 1 where an ADD would fail
    Check {
        /// Configuration files, directories of them, or NetworkAttachmentDefinitions in YAML or JSON. Default: /etc/cni/net.d
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Treat this machine as the node: a missing file that a network names is an error (always the case for
        /// networks in /etc/cni/net.d)
        #[arg(long)]
        on_node: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the JSON Schema of the ipam section
    Schema,
}

/// Run one of them.
pub(crate) fn run(command: Command) -> Done {
    match command {
        Command::Schema => Output::json(&schema()),
        Command::Check { mut paths, on_node, output } => {
            if paths.is_empty() {
                paths.push(PathBuf::from(DIRECTORY));
            }
            let report = check(&paths, if on_node { Files::OnNode } else { Files::Elsewhere });
            let exit = u8::from(report.has_errors());
            let text = match output.output {
                Format::Json => serde_json::to_string_pretty(&report)?,
                Format::Table => report.to_string(),
            };
            Ok(Output { text, exit })
        }
    }
}
