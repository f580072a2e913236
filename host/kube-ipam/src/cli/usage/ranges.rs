//! How full the ranges are, and what is held outside of them.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::list;
use crate::cli::network::{NetworkArgs, Opened};
use crate::cli::output::{CommandError, Format, table};
use crate::runtime;
use crate::verbs::{self, fail::WHEN_FULL};
use cni::failure::ANY_NETWORK;
use ipam::RangeSets;
use ipam::shown::first_of;
use store::{AllocationFilter, Occupancy};

/// How many spans of a range set the table shows; JSON has all of them.
const SPANS_SHOWN: usize = 4;

/// A range set of which more is in use than the operator wants to know of, and what to do about it.
pub(super) struct TooFull {
    pub(super) sentence: String,
    pub(super) hint: String,
}

/// The range sets of all networks.
pub(super) struct Ranges(Vec<RangeRow>);

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::cli) enum RangeRow {
    Set(RangeSetRow),
    Outside(OutsideRow),
}

/// One range set of a network.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct RangeSetRow {
    network: String,
    range_set: usize,
    spans: Vec<String>,
    #[serde(flatten)]
    occupancy: Occupancy,
    percent: u8,
    /// By which a command finds the network.
    #[serde(skip)]
    option: String,
}

/// Addresses of a network that none of its ranges offers: the configuration was changed while the pods ran, or they were
/// asked for by name.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct OutsideRow {
    network: String,
    outside: usize,
    example: IpAddr,
}

impl Ranges {
    pub(super) fn read(network: &NetworkArgs) -> Result<Self, CommandError> {
        let mut rows = Vec::new();
        for opened in network.read_each()? {
            let range_sets = opened.range_sets()?;
            rows.extend(runtime::block_on(rows_of(&opened, &range_sets))?);
        }
        Ok(Self(rows))
    }

    /// The range sets of which so many per cent, or more, are in use.
    pub(super) fn fuller_than(&self, percent: u8) -> Vec<TooFull> {
        let mut too_full = Vec::new();
        for row in &self.0 {
            if let RangeRow::Set(RangeSetRow { network, range_set, occupancy, percent: used, option, .. }) = row
                && *used >= percent
            {
                let free = occupancy.free;
                let sentence = format!("range set {range_set} of network {network:?}: {used}% in use, {free} free");
                too_full.push(TooFull { sentence, hint: WHEN_FULL.replace(ANY_NETWORK, option) });
            }
        }
        too_full
    }

    pub(super) fn render(&self, format: Format) -> Result<String, CommandError> {
        if format == Format::Json {
            return Ok(serde_json::to_string_pretty(&self.0)?);
        }
        let header = ["NETWORK", "RANGE SET", "SIZE", "HELD", "KEPT", "RESERVED", "FREE", "USED", "ADDRESSES"];
        Ok(table(&header, self.0.iter().map(RangeRow::cells)))
    }
}

/// The range sets of a network, and what is held outside of them.
pub(in crate::cli) async fn rows_of(opened: &Opened, range_sets: &RangeSets) -> Result<Vec<RangeRow>, verbs::Error> {
    let occupancies = opened.store.occupancy(range_sets, Timestamp::now()).await?;
    let mut rows = Vec::new();
    for (range_set, (set, occupancy)) in range_sets.iter().zip(occupancies).enumerate() {
        rows.push(RangeRow::Set(RangeSetRow {
            network: opened.base.network.clone(),
            range_set,
            spans: set.offered().map(|span| span.to_string()).collect(),
            percent: occupancy.percent(),
            occupancy,
            option: opened.found.option.clone(),
        }));
    }
    rows.extend(outside(opened, range_sets).await?.map(RangeRow::Outside));
    Ok(rows)
}

/// Only what no range offers is read, where as a rule there is nothing.
async fn outside(opened: &Opened, range_sets: &RangeSets) -> Result<Option<OutsideRow>, verbs::Error> {
    let network = opened.base.network.clone();
    let filter = AllocationFilter { network: Some(network.clone()), ..AllocationFilter::default() };
    let counted = list::count_rest(opened.store.search_spans(&filter, &range_sets.not_offered())).await?;
    Ok(counted.map(|(outside, first)| OutsideRow { network, outside, example: first.address }))
}

impl RangeRow {
    fn cells(&self) -> Vec<String> {
        match self {
            Self::Set(row) => {
                let Occupancy { size, held, kept, reserved, free } = row.occupancy;
                vec![
                    row.network.clone(),
                    row.range_set.to_string(),
                    size.to_string(),
                    held.to_string(),
                    kept.to_string(),
                    reserved.to_string(),
                    free.to_string(),
                    format!("{}%", row.percent),
                    first_of(&row.spans, SPANS_SHOWN, ", ", String::clone),
                ]
            }
            Self::Outside(OutsideRow { network, outside, example }) => {
                let mut cells = vec![network.clone(), "(outside)".to_owned(), "-".to_owned(), outside.to_string()];
                cells.resize(8, "-".to_owned());
                cells.push(format!("for example {example}"));
                cells
            }
        }
    }
}
