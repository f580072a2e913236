//! `kube-ipam policy case`: a recorded decision as a case for `policy test`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::output::{Done, Output};
use crate::decisions::{Damaged, Lines};
use crate::lab::case::Case;
use crate::policy::text::tame;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// A record of decisions, as policy.record writes it
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// Which of its decisions, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    nth: u32,
}

/// There is no such decision.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("{}: {cause}", .record.display())]
    File { record: PathBuf, cause: std::io::Error },
    #[error("{}: {damaged}", .record.display())]
    Damaged { record: PathBuf, damaged: Damaged },
    #[error("{} has no {nth}. decision", .record.display())]
    TooFew { record: PathBuf, nth: u32 },
}

pub(crate) fn case(options: &Options) -> Done {
    let Options { record, nth } = options;
    let unread = |cause| Unread::File { record: record.clone(), cause };
    let line = Lines::of_file(record).map_err(unread)?.nth(*nth as usize - 1);
    let decision = line.ok_or_else(|| Unread::TooFew { record: record.clone(), nth: *nth })?.map_err(unread)?;
    let decision = decision.map_err(|damaged| Unread::Damaged { record: record.clone(), damaged })?;
    let mut text = Case::of(&decision).to_yaml();
    if decision.request.attempt > 0 {
        text.insert_str(0, "# The races lost before this decision are not part of the case.\n");
    }
    if !decision.left_out.is_empty() {
        text.insert_str(
            0,
            &format!("# Annotations left out of the record: {}\n", tame(&decision.left_out.join(", "), u64::MAX)),
        );
    }
    Ok(Output::text(text.trim_end()))
}
