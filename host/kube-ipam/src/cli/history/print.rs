//! A history in each of its formats.

use clap::ValueEnum;

use super::HistoryReport;
use crate::cli::output::{CommandError, or_dash, table};
use crate::cli::subject::Subject;
use crate::journal::history::{Tenure, Until};
use ipam::shown::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum HistoryFormat {
    Table,
    /// An object with the tenures, the journals that were read and the gaps
    Json,
    /// One JSON object a line for each tenure; the gaps on standard error
    Jsonl,
    Yaml,
}

const HEADER: [&str; 9] = ["FROM", "UNTIL", "ADDRESS", "POD", "CONTAINER", "NETWORK", "NODE", "BEGAN", "ENDED"];

pub(super) fn printed(
    report: &HistoryReport,
    subject: &Subject,
    format: HistoryFormat,
) -> Result<String, CommandError> {
    Ok(match format {
        HistoryFormat::Table => for_people(report, subject),
        HistoryFormat::Json => json(&serde_json::to_string_pretty(report)?).into_owned() + "\n",
        HistoryFormat::Yaml => serde_saphyr::to_string(report).expect("a report that can be written as YAML"),
        HistoryFormat::Jsonl => {
            for gap in &report.gaps {
                tracing::warn!("{gap}");
            }
            let mut text = String::new();
            for tenure in &report.tenures {
                text.push_str(&json(&serde_json::to_string(tenure)?));
                text.push('\n');
            }
            text
        }
    })
}

fn for_people(report: &HistoryReport, subject: &Subject) -> String {
    let mut text = if report.tenures.is_empty() {
        format!("nothing is known of {subject}")
    } else {
        table(&HEADER, report.tenures.iter().map(cells))
    };
    for gap in &report.gaps {
        text.push_str(&format!("\nnote: {gap}"));
    }
    text + "\n"
}

fn cells(tenure: &Tenure) -> Vec<String> {
    let Tenure { attachment, pod, node, from, began, until, ended, .. } = tenure;
    let until = match until {
        Until::Held => "now".to_owned(),
        Until::At(until) => format!("{until:.0}"),
        Until::NotAfter(latest) => format!("≤ {latest:.0}"),
        Until::Unknown => "?".to_owned(),
    };
    vec![
        from.map_or_else(|| "?".to_owned(), |from| format!("{from:.0}")),
        until,
        tenure.address.to_string(),
        or_dash(pod.as_ref()),
        or_dash(attachment.as_ref().map(|attachment| attachment.container.chars().take(13).collect::<String>())),
        or_dash(attachment.as_ref().map(|attachment| &attachment.network)),
        or_dash(node.as_ref()),
        or_dash(began.as_ref()),
        or_dash(ended.as_ref()),
    ]
}
