//! `kube-ipam usage`: how full the ranges are, and who uses them.

mod groups;
mod ranges;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use ipam::shown::one_line;
use jiff::{SignedDuration, Timestamp};

use super::network::NetworkArgs;
use super::output::{self, CommandError, Done, Format, Output};
use groups::Groups;
pub(in crate::cli) use ranges::rows_of;
use ranges::{Ranges, TooFull};

#[derive(Args, Debug)]
pub(crate) struct UsageOptions {
    /// What to count addresses by
    #[arg(long, value_enum, default_value_t = UsageBy::Range)]
    by: UsageBy,
    /// Exit with status 1 if at least this percentage of a range set is in use
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    warn: Option<u8>,
    /// Refresh at this interval until interrupted
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, require_equals = true, default_missing_value = "2s")]
    watch: Option<SignedDuration>,
    /// With --by owner: kubeconfig of the API server to ask. Default: the service account inside a pod, ipam.kubeConfig
    /// elsewhere
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum UsageBy {
    /// Ranges: how many addresses are held, kept back, reserved and free
    Range,
    Namespace,
    Node,
    /// The workloads that the pods belong to, as the API server has them
    Owner,
    Policy,
}

/// What is shown once: a text, and the range sets that are too full.
struct Usage {
    text: String,
    too_full: Vec<TooFull>,
}

pub(crate) fn usage(options: &UsageOptions, network: &NetworkArgs, format: Format) -> Done {
    let Some(interval) = options.watch else {
        let usage = look(options, network, format)?;
        for TooFull { sentence, hint } in &usage.too_full {
            tracing::warn!("{sentence}");
            tracing::warn!("hint: {hint}");
        }
        return Ok(Output { text: usage.text, exit: u8::from(!usage.too_full.is_empty()) });
    };
    let interval = Duration::try_from(interval).unwrap_or_default().max(Duration::from_millis(100));
    loop {
        let usage = look(options, network, format)?;
        let mut text = usage.text + "\n";
        if format == Format::Table {
            text.insert_str(0, &format!("{:.0}\n", Timestamp::now()));
            for set in &usage.too_full {
                text.push_str(&format!("! {}\n", one_line(&set.sentence)));
            }
        }
        output::clear_screen();
        if !output::print(&text) {
            return Ok(Output::text(""));
        }
        std::thread::sleep(interval);
    }
}

fn look(options: &UsageOptions, network: &NetworkArgs, format: Format) -> Result<Usage, CommandError> {
    let mut too_full = Vec::new();
    if options.by == UsageBy::Range {
        let ranges = Ranges::read(network)?;
        if let Some(percent) = options.warn {
            too_full = ranges.fuller_than(percent);
        }
        return Ok(Usage { text: ranges.render(format)?, too_full });
    }
    if let Some(percent) = options.warn {
        too_full = Ranges::read(network)?.fuller_than(percent);
    }
    let groups = Groups::read(options.by, network, options.kubeconfig.as_deref())?;
    Ok(Usage { text: groups.render(format)?, too_full })
}
