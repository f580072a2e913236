//! `kube-ipam export`: the allocations, holds and reservations of a domain as lines of JSON, for `kube-ipam import --from
//! export` into whichever store.
//!
//! All of it is of one moment, and is written page by page, so that half a million records take no more memory than a
//! thousand.

mod format;

use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::network::NetworkArgs;
use super::output::{self, CommandError, Done, Output};
use crate::runtime;
use crate::verbs;
use cni::Fail;
use files::{Replacement, Survives, Turn};
use store::{Exported, Store};

pub(crate) use format::{ExportEnd, ExportFile, ExportFileError, ExportLine, Lines};
use format::{ExportHeader, ExportWriter};

#[derive(Args, Debug)]
pub(crate) struct ExportOptions {
    /// Write to this file, which is there as a whole or not at all. Default: the standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("cannot write {place}")]
    Unwritable { place: String, source: io::Error },
    #[error(transparent)]
    Records(#[from] store::ExportError),
    #[error(transparent)]
    Verb(#[from] verbs::Error),
}

impl Fail for ExportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unwritable { .. } => Some("the export is not complete: repeat it with another --to FILE".to_owned()),
            Self::Records(store::ExportError::Store(error)) => error.hint(),
            Self::Records(store::ExportError::Inconsistent { .. }) => {
                Some("`kube-ipam fsck` shows which, and with --repair makes them agree".to_owned())
            }
            Self::Verb(error) => error.hint(),
        }
    }
}

pub(crate) fn export(options: &ExportOptions, network: &NetworkArgs) -> Done {
    let opened = network.one_book()?;
    let Some(file) = &options.to else {
        let place = "the standard output".to_owned();
        write_all(&opened.store, &mut BufWriter::new(output::stdout()), &place)?;
        return Ok(Output::text(""));
    };
    let end = write_file(&opened.store, file)?;
    let (domain, file) = (&opened.base.domain, file.display());
    Ok(Output::text(format!("{} of domain {domain:?} are in {file}", end.counts())))
}

fn write_file(store: &Store, file: &Path) -> Result<ExportEnd, CommandError> {
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let place = file.display().to_string();
    let name = file.file_name().unwrap_or(OsStr::new("export"));
    let replacement = Replacement { mode: 0o600, survives: Survives::PowerFailure, turn: Turn::Anybodys };
    // What stopped the records from being read is no error of the file, and is told as what it is.
    let mut written = Err(None);
    let put = replacement.put(directory, name, |file| {
        written = write_all(store, &mut BufWriter::new(file), &place).map_err(Some);
        if written.is_ok() { Ok(()) } else { Err(io::Error::other("it is not complete")) }
    });
    match (written, put) {
        (Err(Some(error)), _) => Err(error.into()),
        (_, Err(source)) => Err(ExportError::Unwritable { place, source }.into()),
        (Ok(end), Ok(())) => Ok(end),
        (Err(None), Ok(())) => Ok(ExportEnd::default()),
    }
}

fn write_all(store: &Store, out: &mut impl Write, place: &str) -> Result<ExportEnd, ExportError> {
    runtime::block_on(write_lines(store, out, place))
}

async fn write_lines(store: &Store, out: &mut impl Write, place: &str) -> Result<ExportEnd, ExportError> {
    let now = Timestamp::now();
    let unwritable = |source| ExportError::Unwritable { place: place.to_owned(), source };
    let mut writer = ExportWriter::begin(out, &ExportHeader::new(store.domain(), now)).map_err(unwritable)?;
    let mut export = store.export(now).await.map_err(store::ExportError::from)?;
    while let Some(part) = export.next().await? {
        match part {
            Exported::Claims(arrivals) => {
                for arrival in arrivals {
                    writer.line(&ExportLine::of_claim(arrival)).map_err(unwritable)?;
                }
            }
            Exported::Holds(holds) => {
                for hold in holds {
                    writer.line(&ExportLine::of_hold(hold)).map_err(unwritable)?;
                }
            }
        }
    }
    writer.end().map_err(unwritable)
}
