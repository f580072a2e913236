//! How full the ranges are, as numbers and as a picture.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::map::{Area, areas_of};
use crate::cli::network::Opened;
use crate::cli::serve::library::Networks;
use crate::cli::serve::query::Query;
use crate::cli::serve::reply::Failure;
use crate::cli::usage::rows_of;
use crate::verbs;

/// How many cells a row of the picture may have.
pub(super) const COLUMNS: [usize; 3] = [16, 32, 64];

/// Which of [`COLUMNS`] a request asks for.
pub(super) fn columns(query: &Query) -> Result<usize, Failure> {
    let Some(text) = query.text("columns") else { return Ok(COLUMNS.len() - 1) };
    let nth = COLUMNS.iter().position(|columns| columns.to_string() == text);
    nth.ok_or_else(|| Failure::bad_request(format!("columns {text:?}: expected one of {COLUMNS:?}")))
}

/// A part of a network's answer, or why there is none: one store that does not answer hides no other.
fn told(opened: &Opened, key: &str, part: Result<Value, verbs::Error>) -> Value {
    let mut told = match part {
        Ok(part) => json!({key: part}),
        Err(error) => Failure::from(error).about(&opened.found.option).to_json(),
    };
    told["network"] = json!(opened.base.network);
    told
}

/// The range sets of every network, as `kube-ipam usage` counts them.
pub(super) async fn ranges(networks: &Networks) -> Value {
    let at = Timestamp::now();
    let mut all = Vec::new();
    for opened in &networks.opened {
        let rows = async { Ok::<_, verbs::Error>(json!(rows_of(opened, &opened.range_sets()?).await?)) };
        all.push(told(opened, "range_sets", rows.await));
    }
    json!({"at": at, "networks": all})
}

/// A range of the picture. Of each row of cells there is a text besides, with a character for each cell: how much is taken, from
/// 0 to 8, `k` where most of that is kept back, a point where there is nothing to give out.
#[derive(Serialize)]
struct AreaJson {
    #[serde(flatten)]
    area: Area,
    levels: Vec<String>,
}

/// The ranges of every network, as `kube-ipam map` draws them.
pub(super) async fn map(networks: &Networks, columns: usize) -> Value {
    let at = Timestamp::now();
    let mut all = Vec::new();
    for opened in &networks.opened {
        let areas = async {
            let areas = areas_of(opened, &opened.range_sets()?, columns, at).await?;
            Ok::<_, verbs::Error>(json!(areas.into_iter().map(AreaJson::from).collect::<Vec<_>>()))
        };
        all.push(told(opened, "areas", areas.await));
    }
    json!({"at": at, "columns": columns, "networks": all})
}

impl From<Area> for AreaJson {
    fn from(area: Area) -> Self {
        let mut levels = Vec::with_capacity(area.rows.len());
        for row in &area.rows {
            let mut text = String::with_capacity(row.cells.len());
            for cell in &row.cells {
                text.push(match cell.level() {
                    None => '.',
                    Some(_) if cell.is_mostly_kept() => 'k',
                    Some(level) => char::from_digit(u32::try_from(level).unwrap_or_default(), 10).unwrap_or('.'),
                });
            }
            levels.push(text);
        }
        Self { area, levels }
    }
}
