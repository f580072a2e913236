//! `kube-ipam history`: who had an address from when until when, from the journals of nodes and from what the store says today.

mod find;
mod print;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use clap::Args;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::network::NetworkArgs;
use super::output::{self, CommandError, Done, Output};
use super::subject::Subject;
use crate::journal::history::{JournalLine, lines};
use cni::Fail;
use print::HistoryFormat;

pub(crate) use find::{HistoryReport, find};

#[derive(Args, Debug)]
#[command(
    after_help = "Each node keeps a journal of what happened to addresses on it. Where nodes share a store, an address may have \
    been on several: `kubectl kube-ipam history …` asks all of them. By hand, `kube-ipam history … --raw` on one node and \
    `--journal FILE` on another do the same.\n\nExamples:\n  kube-ipam history 10.0.0.7\n  kube-ipam history shop/web-0\n  \
    kube-ipam history 10.0.0.7 --at 2026-11-30T03:00\n  kube-ipam history 10.0.0.7 --at 2h"
)]
pub(crate) struct HistoryOptions {
    /// Only what was so at this time: 2026-11-30T03:00 (UTC), 2026-11-30T03:00:00+01:00, or a time ago, such as 90m
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<Timestamp>,
    /// Also read what --raw has printed on other nodes, from this file, or from standard input with "-"
    #[arg(long, value_name = "FILE")]
    journal: Vec<PathBuf>,
    /// Print the lines of this node's journal that are about it, for --journal on another node; --at and --output are for that one
    #[arg(long, conflicts_with = "journal")]
    raw: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = HistoryFormat::Table)]
    output: HistoryFormat,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum HistoryError {
    #[error("cannot read {}: {cause}", file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
}

impl Fail for HistoryError {
    fn hint(&self) -> Option<String> {
        Some("name a file with the output of `kube-ipam history … --raw`, or - for standard input".to_owned())
    }
}

/// The exit code is 0 where something is known.
pub(crate) fn history(subject: &Subject, options: &HistoryOptions, network: &NetworkArgs) -> Done {
    if options.raw {
        find::print_raw(subject, network)?;
        return Ok(Output::text(""));
    }
    let mut others = Vec::new();
    for file in &options.journal {
        read_other(file, &mut others)?;
    }
    let mut report = find(subject, network, others)?;
    if let Some(at) = options.at {
        report.tenures.retain(|tenure| tenure.covers(at));
        report.look_back(at);
    }
    let exit = u8::from(report.tenures.is_empty());
    output::print(&print::printed(&report, subject, options.output)?);
    Ok(Output { text: String::new(), exit })
}

fn read_other(file: &PathBuf, others: &mut Vec<JournalLine>) -> Result<(), CommandError> {
    let unreadable = |cause| HistoryError::Unreadable { file: file.clone(), cause };
    let reader: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).map_err(unreadable)?))
    };
    lines(reader, |line| others.extend(line)).map_err(unreadable)?;
    Ok(())
}

/// A moment, or a time before now. All times of the output are UTC, and so is one without a time zone.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Ok(at) = text.parse::<DateTime>() {
        return at.to_zoned(TimeZone::UTC).map(|at| at.timestamp()).map_err(|error| error.to_string());
    }
    let ago: SignedDuration =
        text.parse().map_err(|_| "expected a time such as 2026-11-30T03:00, or 90m".to_owned())?;
    Timestamp::now().checked_sub(ago.abs()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_ago() {
        let at = |text: &str| parse_time(text).unwrap().to_string();
        assert_eq!(at("2026-11-30T03:00"), "2026-11-30T03:00:00Z");
        assert_eq!(at("2026-11-30 03:00:05"), "2026-11-30T03:00:05Z");
        assert_eq!(at("2026-11-30T03:00:00+01:00"), "2026-11-30T02:00:00Z");
        let ago = Timestamp::now().duration_since(parse_time("2h 30m").unwrap());
        assert!((8_999..9_005).contains(&ago.as_secs()), "{ago}");
        assert!(parse_time("yesterday").unwrap_err().starts_with("expected a time"));
    }
}
