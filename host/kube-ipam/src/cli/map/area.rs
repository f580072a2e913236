//! A range as rows of cells.
//!
//! A cell stands for a power of two of neighbouring addresses, so that cells and rows begin where subnets do. Of a range that
//! is small enough every row is there. Of one that is not, as with most of IPv6, only the rows in which something is held:
//! they are found from above, by counting what is in each sixteenth of a prefix that has anything.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::network::Opened;
use crate::verbs;
use ipam::shown::exact_number;
use ipam::{Family, Prefix, RangeSets, Span};
use store::{Store, Taken};

/// The most cells of a row.
pub(super) const MOST_COLUMNS: usize = 64;

/// The most rows of a range.
const MOST_ROWS: usize = 32;

/// Ranges of up to so many addresses are shown whole: all of IPv4.
const SHOWN_WHOLE: u128 = 1 << 32;

/// By so many bits a prefix is divided on the search for what is occupied: a digit of an IPv6 address.
const STEP: u8 = 4;

/// A range of a network.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Area {
    pub(super) network: String,
    pub(super) range_set: usize,
    pub(super) range: String,
    #[serde(serialize_with = "exact_number")]
    pub(super) size: u128,
    pub(super) held: u64,
    pub(super) kept: u64,
    /// How many addresses a cell stands for.
    #[serde(serialize_with = "exact_number")]
    pub(super) cell: u128,
    /// Whether rows in which nothing is taken are left out.
    pub(super) only_occupied: bool,
    pub(in crate::cli) rows: Vec<Row>,
}

/// Neighbouring addresses in cells.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Row {
    pub(super) first: IpAddr,
    pub(in crate::cli) cells: Vec<Cell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Cell {
    /// How many of its addresses the range offers.
    #[serde(serialize_with = "exact_number")]
    pub(super) offered: u128,
    pub(super) held: u64,
    pub(super) kept: u64,
}

impl Cell {
    /// How much of it is taken, from 0 for nothing to 8 for all; `None` where there is nothing to give out and nothing
    /// taken. A single address among thousands has to be seen, whether it is the only one taken or the only one free.
    pub(in crate::cli) fn level(&self) -> Option<usize> {
        let taken = u128::from(self.held) + u128::from(self.kept);
        if taken == 0 {
            return if self.offered == 0 { None } else { Some(0) };
        }
        if taken >= self.offered {
            return Some(8);
        }
        usize::try_from(1 + taken.saturating_mul(7) / self.offered).ok()
    }

    /// Whether most of what is taken is on hold.
    pub(in crate::cli) fn is_mostly_kept(&self) -> bool {
        self.kept > self.held
    }
}

/// The ranges of a network, each in cells as they are at this moment.
pub(in crate::cli) async fn areas_of(
    opened: &Opened,
    range_sets: &RangeSets,
    columns: usize,
    now: Timestamp,
) -> Result<Vec<Area>, verbs::Error> {
    let mut areas = Vec::new();
    for (range_set, set) in range_sets.iter().enumerate() {
        for range in set.ranges() {
            let offered: Vec<Span> = set.offered().filter_map(|span| span.intersection(&range.span())).collect();
            let Some(whole) = around(&offered) else { continue };
            let (rows, row_bits) = rows_of(&opened.store, whole, columns, now).await?;
            let row_bits_of_cell = columns.ilog2().min(row_bits.into());
            let only_occupied = whole.size() > SHOWN_WHOLE;
            let mut area = Area {
                network: opened.base.network.clone(),
                range_set,
                range: range.span().to_string(),
                size: offered.iter().map(Span::size).fold(0, u128::saturating_add),
                held: 0,
                kept: 0,
                cell: 1 << (u32::from(row_bits) - row_bits_of_cell),
                only_occupied,
                rows: Vec::new(),
            };
            area.count(&opened.store, &rows, &offered, now).await?;
            areas.push(area);
        }
    }
    Ok(areas)
}

/// From the lowest to the highest address of some spans.
fn around(spans: &[Span]) -> Option<Span> {
    Span::new(spans.iter().map(Span::first).min()?, spans.iter().map(Span::last).max()?)
}

/// The rows to show, and how many bits of an address tell the addresses of a row apart.
async fn rows_of(
    store: &Store,
    whole: Span,
    columns: usize,
    now: Timestamp,
) -> Result<(Vec<Prefix>, u8), verbs::Error> {
    let bits = whole.family().bits();
    if whole.size() > SHOWN_WHOLE {
        let rows = occupied(store, whole, now).await?;
        let row_bits = rows.first().map_or(0, |row| bits - row.length());
        return Ok((rows, row_bits));
    }
    // The narrowest rows of which there are not too many. No row has fewer addresses than cells, but where all fit into one.
    let mut row_bits = columns.ilog2() as u8;
    while rows_over(whole, row_bits).len() > MOST_ROWS {
        row_bits += 1;
    }
    Ok((rows_over(whole, row_bits), row_bits))
}

/// The prefixes of one length that have an address of the span.
fn rows_over(whole: Span, row_bits: u8) -> Vec<Prefix> {
    let mut rows = Vec::new();
    let mut next = Some(whole);
    while let Some(rest) = next
        && rows.len() <= MOST_ROWS
        && let Some(row) = prefix_of(rest.first(), row_bits)
    {
        next = rest.above(row.span().last());
        rows.push(row);
    }
    rows
}

/// The prefix with this many host bits that an address lies in.
fn prefix_of(address: IpAddr, host_bits: u8) -> Option<Prefix> {
    let family = Family::of(address);
    let mask = u128::MAX.checked_shl(host_bits.into()).unwrap_or(0);
    Prefix::new(family.address(ipam::address::number(address) & mask), family.bits().checked_sub(host_bits)?)
}

/// The prefixes of one length in which something is taken: of the longest length at which there are not too many of them,
/// and of which each cell of a row still has an address.
async fn occupied(store: &Store, whole: Span, now: Timestamp) -> Result<Vec<Prefix>, verbs::Error> {
    let bits = whole.family().bits();
    let cells_bits = MOST_COLUMNS.ilog2() as u8;
    let mut host_bits = bits;
    // The shortest prefix that has all of the range.
    while host_bits > 0 && rows_over(whole, host_bits - 1).len() == 1 {
        host_bits -= 1;
    }
    let mut found = rows_over(whole, host_bits);
    while host_bits > cells_bits {
        let step = STEP.min(host_bits - cells_bits);
        let finer: Vec<Prefix> = found.iter().flat_map(|prefix| divided(prefix, host_bits - step)).collect();
        let spans: Vec<Span> = finer.iter().map(Prefix::span).collect();
        let mut occupied = Vec::new();
        for (prefix, taken) in finer.into_iter().zip(store.taken_in(&spans, now).await?) {
            if taken != Taken::default() {
                occupied.push(prefix);
            }
        }
        if occupied.is_empty() {
            return Ok(Vec::new());
        }
        if occupied.len() > MOST_ROWS {
            break;
        }
        found = occupied;
        host_bits -= step;
    }
    Ok(found)
}

/// A prefix in parts that have so many host bits.
fn divided(prefix: &Prefix, host_bits: u8) -> Vec<Prefix> {
    let mut parts = Vec::new();
    let mut next = Some(prefix.span());
    while let Some(rest) = next
        && let Some(part) = prefix_of(rest.first(), host_bits)
    {
        next = rest.above(part.span().last());
        parts.push(part);
    }
    parts
}

impl Area {
    /// Count what is taken in each cell of the rows.
    async fn count(
        &mut self,
        store: &Store,
        rows: &[Prefix],
        offered: &[Span],
        now: Timestamp,
    ) -> Result<(), verbs::Error> {
        let whole = store.taken_in(offered, now).await?;
        self.held = whole.iter().map(|taken| taken.held).sum();
        self.kept = whole.iter().map(Taken::kept_back).sum();
        let cell_bits = self.cell.ilog2() as u8;
        // One row after the other: the counts of thirty rows would be one very large question to etcd.
        for row in rows {
            let spans: Vec<Span> = divided(row, cell_bits).iter().map(Prefix::span).collect();
            let taken = store.taken_in(&spans, now).await?;
            let mut cells = Vec::with_capacity(spans.len());
            for (span, taken) in spans.iter().zip(taken) {
                let (held, kept) = (taken.held, taken.kept_back());
                let parts = offered.iter().filter_map(|part| part.intersection(span));
                cells.push(Cell { offered: parts.map(|part| part.size()).fold(0, u128::saturating_add), held, kept });
            }
            self.rows.push(Row { first: row.address(), cells });
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A small range with a gateway in it, and a huge one.
    pub(in crate::cli::map) fn example() -> Vec<Area> {
        let cell = |offered, held, kept| Cell { offered, held, kept };
        let small = Area {
            network: "blue & <green>".to_owned(),
            range_set: 0,
            range: "10.1.0.1-10.1.0.14".to_owned(),
            size: 13,
            held: 5,
            kept: 1,
            cell: 1,
            only_occupied: false,
            rows: vec![
                Row {
                    first: "10.1.0.0".parse().unwrap(),
                    cells: [[cell(0, 0, 0); 2], [cell(1, 1, 0); 2], [cell(1, 1, 0); 2], [cell(1, 0, 0); 2]].concat(),
                },
                Row {
                    first: "10.1.0.8".parse().unwrap(),
                    cells: [[cell(1, 0, 1); 1].as_slice(), &[cell(1, 1, 0)], &[cell(1, 0, 0); 5], &[cell(0, 0, 0)]]
                        .concat(),
                },
            ],
        };
        let levels = (0..=8).map(|eighth| cell(1 << 60, eighth << 57, 0));
        let huge = Area {
            network: "red".to_owned(),
            range_set: 1,
            range: "fd00::1-fd00::ffff:ffff:ffff:ffff".to_owned(),
            size: (1 << 64) - 1,
            held: 36 << 57,
            kept: 9 << 57,
            cell: 1 << 60,
            only_occupied: true,
            rows: vec![Row {
                first: "fd00::".parse().unwrap(),
                cells: levels.chain([cell(1 << 60, 0, 9 << 57)]).collect(),
            }],
        };
        vec![small, huge]
    }

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    #[test]
    fn rows_begin_where_subnets_do() {
        let rows = |text: &str, bits| rows_over(span(text), bits).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(rows("10.0.0.10-10.0.1.20", 7), ["10.0.0.0/25", "10.0.0.128/25", "10.0.1.0/25"]);
        assert_eq!(rows("0.0.0.0/0", 32), ["0.0.0.0/0"]);
        assert_eq!(rows("fd00::3-fd00::4", 2), ["fd00::/126", "fd00::4/126"]);
        assert_eq!(divided(&"fd00::/64".parse().unwrap(), 60).len(), 16);
    }

    #[test]
    fn a_cell_is_full_only_where_nothing_is_free_and_empty_only_where_nothing_is_taken() {
        let level = |offered, held, kept| Cell { offered, held, kept }.level();
        assert_eq!((level(0, 0, 0), level(8, 0, 0)), (None, Some(0)));
        assert_eq!(
            (level(1 << 60, 1, 0), level(64, 32, 0), level(64, 63, 0), level(64, 60, 4)),
            (Some(1), Some(4), Some(7), Some(8))
        );
        assert_eq!(level(0, 0, 1), Some(8), "held although no range offers it");
    }
}
