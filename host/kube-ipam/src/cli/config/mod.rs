//! `kube-ipam config`: checks configurations and prints their schema.
//!
//! ```text
//!   paths ── sources ──► every kube-ipam network in them ─ check ─┬── errors    an ADD would fail
//!            files, directories,                                  ├── doubts    an ADD works, but perhaps not as meant
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
pub(crate) use check::rivalries;
pub use named::Files;
pub use report::{ConfigFinding, ConfigReport, Severity};
pub(super) use sources::{EXTENSIONS, sources};

use super::output::{Done, Format, Output, OutputArgs};
use crate::config::unknown::schema;

/// Where runtimes look for networks.
pub(super) const NETWORKS: &str = "/etc/cni/net.d";

#[derive(clap::Subcommand, Debug)]
pub(crate) enum ConfigCommand {
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

pub(crate) fn run(command: ConfigCommand) -> Done {
    match command {
        ConfigCommand::Schema => Output::json(&schema()),
        ConfigCommand::Check { mut paths, on_node, output } => {
            if paths.is_empty() {
                paths.push(PathBuf::from(NETWORKS));
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
