//! `kube-ipam map`: the address space as a picture, in the terminal or as SVG.
//!
//! ```text
//!   ranges ──► area     rows of cells, each so many addresses: the whole range, or of a huge one the prefixes in use
//!                │
//!                ├──► terminal     characters, with colours where there are
//!                └──► svg
//! ```
//!
//! Addresses are counted by the store, cell by cell, and no record is read: a picture takes the same memory however many
//! addresses it shows.

mod area;
mod svg;
mod terminal;

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::network::NetworkArgs;
use super::output::{self, CommandError, Done, Format, Output, counted};
use crate::runtime;
pub(in crate::cli) use area::{Area, areas_of};
use cni::Fail;
use limits::Thousands;

#[derive(Args, Debug)]
pub(crate) struct MapOptions {
    /// Write the picture to this file, as SVG, instead of to the terminal
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Why the picture was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
struct NotWritten {
    path: PathBuf,
    source: std::io::Error,
}

impl Fail for NotWritten {
    fn hint(&self) -> Option<String> {
        Some("name a file in a directory that exists and that this user may write to".to_owned())
    }
}

pub(crate) fn map(options: &MapOptions, network: &NetworkArgs, format: Format) -> Done {
    let columns = match (&options.svg, format) {
        (None, Format::Table) => terminal::columns(),
        _ => area::MOST_COLUMNS,
    };
    let mut areas = Vec::new();
    for opened in network.read_each()? {
        let range_sets = opened.range_sets()?;
        areas.extend(runtime::block_on(area::areas_of(&opened, &range_sets, columns, Timestamp::now()))?);
    }
    if let Some(file) = &options.svg {
        return write(file, &areas);
    }
    match format {
        Format::Json => Output::json(&areas),
        Format::Table => {
            output::print_as_is(&terminal::render(&areas, terminal::Paint::of_stdout()));
            Ok(Output::text(""))
        }
    }
}

/// What is taken of a range, and what a cell of its picture stands for.
fn describe(area: &Area, cell: &str) -> String {
    let (held, kept) = (Thousands(area.held), Thousands(area.kept));
    let each = if area.cell == 1 { "an address".to_owned() } else { format!("{} addresses", amount(area.cell)) };
    format!("{held} held, {kept} kept back of {}; a {cell} is {each}", amount(area.size))
}

/// A number of addresses. Nobody reads the digits of one that has twenty of them.
fn amount(number: u128) -> String {
    let power = number.ilog2();
    match number {
        ..=0xffff_ffff => Thousands(number).to_string(),
        _ if number.is_power_of_two() => format!("2^{power}"),
        // One less than the next power, for example, where a gateway is left out.
        _ if number >> (power - 7) == 0xff => format!("about 2^{}", power + 1),
        _ => format!("more than 2^{power}"),
    }
}

fn write(file: &Path, areas: &[Area]) -> Done {
    let written = std::fs::write(file, svg::render(areas));
    written.map_err(|source| CommandError::from(NotWritten { path: file.to_owned(), source }))?;
    Ok(Output::text(format!("wrote {} to {}", counted(areas.len(), "range"), file.display())))
}
