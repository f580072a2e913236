//! `kube-ipam usage`: how full the ranges are.

use jiff::Timestamp;
use serde::Serialize;

use super::network::{NetworkArgs, Opened};
use super::output::{self, Done, Format, Output};
use crate::runtime;
use crate::verbs;
use ipam::shown::first_of;
use store::Occupancy;

/// How many spans of a range set the table shows; JSON has all of them.
const SPANS_SHOWN: usize = 4;

/// One range set of a network.
#[derive(Debug, Serialize)]
struct UsageRow {
    network: String,
    range_set: usize,
    spans: Vec<String>,
    #[serde(flatten)]
    occupancy: Occupancy,
    percent: u8,
}

pub(crate) fn usage(network: &NetworkArgs, format: Format) -> Done {
    let mut rows = Vec::new();
    for opened in network.read_each()? {
        rows.extend(rows_of(&opened)?);
    }
    match format {
        Format::Json => Output::json(&rows),
        Format::Table => Ok(Output::text(table(&rows))),
    }
}

fn rows_of(opened: &Opened) -> Result<Vec<UsageRow>, verbs::Error> {
    let range_sets = opened.range_sets()?;
    let occupancies = runtime::block_on(async { Ok(opened.store.occupancy(&range_sets, Timestamp::now()).await?) })?;
    let mut rows = Vec::new();
    for (range_set, (set, occupancy)) in range_sets.iter().zip(occupancies).enumerate() {
        rows.push(UsageRow {
            network: opened.base.network.clone(),
            range_set,
            spans: set.offered().map(|span| span.to_string()).collect(),
            percent: occupancy.percent(),
            occupancy,
        });
    }
    Ok(rows)
}

fn table(rows: &[UsageRow]) -> String {
    let header = ["NETWORK", "RANGE SET", "SIZE", "HELD", "KEPT", "RESERVED", "FREE", "USED", "ADDRESSES"];
    output::table(&header, rows.iter().map(cells))
}

fn cells(row: &UsageRow) -> Vec<String> {
    let Occupancy { size, held, kept, reserved, free } = row.occupancy;
    let spans = first_of(&row.spans, SPANS_SHOWN, ", ", String::clone);
    vec![
        row.network.clone(),
        row.range_set.to_string(),
        size.to_string(),
        held.to_string(),
        kept.to_string(),
        reserved.to_string(),
        free.to_string(),
        format!("{}%", row.percent),
        spans,
    ]
}
