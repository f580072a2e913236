//! A list in each of its formats, printed in parts: how long it gets is not known while it begins.

use clap::ValueEnum;
use jiff::Timestamp;

use super::row::{NARROW, RowJson, WIDE, narrow, wide};
use crate::cli::output::{Columns, JsonList, or_dash};
use ipam::shown::{json, one_line};
use store::AddressRecord;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    Table,
    /// A table of all that is known
    Wide,
    Json,
    /// One JSON object a line
    Jsonl,
    Yaml,
    Csv,
    /// Only the addresses, one a line
    Name,
}

/// A list that is being printed.
pub(super) struct Printed {
    style: Style,
    has_rows: bool,
}

enum Style {
    Table(Columns),
    Wide(Columns),
    Json(JsonList),
    JsonLines,
    Yaml,
    /// The line with the names of the columns, until it is printed.
    Csv(Option<String>),
    Name,
}

impl Printed {
    pub(super) fn new(format: ListFormat, with_header: bool) -> Self {
        let columns =
            |header: &[&str]| if with_header { Columns::new(header) } else { Columns::headless(header.len()) };
        let style = match format {
            ListFormat::Table => Style::Table(columns(&NARROW)),
            ListFormat::Wide => Style::Wide(columns(&WIDE)),
            ListFormat::Json => Style::Json(JsonList::default()),
            ListFormat::Jsonl => Style::JsonLines,
            ListFormat::Yaml => Style::Yaml,
            ListFormat::Csv => {
                let header = csv_lines([WIDE.map(|name| name.to_lowercase().replace('-', "_"))]);
                Style::Csv(if with_header { Some(header) } else { None })
            }
            ListFormat::Name => Style::Name,
        };
        Self { style, has_rows: false }
    }

    /// The next rows.
    pub(super) fn rows(&mut self, records: &[AddressRecord], now: Timestamp) -> String {
        self.has_rows |= !records.is_empty();
        let for_programs = records.iter().map(RowJson::from);
        match &mut self.style {
            Style::Table(columns) => columns.lines(records.iter().map(|record| narrow(record, now))),
            Style::Wide(columns) => {
                columns.lines(records.iter().map(|record| wide(record).into_iter().map(or_dash).collect()))
            }
            Style::Json(list) => list.elements(&for_programs.collect::<Vec<_>>()),
            Style::JsonLines => json_lines(for_programs),
            Style::Yaml => yaml_elements(for_programs),
            Style::Csv(header) => header.take().unwrap_or_default() + &csv_lines(records.iter().map(csv_cells)),
            Style::Name => records.iter().map(|record| format!("{}\n", record.address())).collect(),
        }
    }

    /// What comes behind the last row. `all` where no row was left out.
    pub(super) fn end(self, all: bool) -> String {
        match self.style {
            Style::Json(list) => list.end(),
            Style::Csv(header) => header.unwrap_or_default(),
            Style::Yaml if !self.has_rows => "[]\n".to_owned(),
            Style::Table(_) | Style::Wide(_) if !self.has_rows => {
                let text = if all { "no addresses are held" } else { "no address matches" };
                format!("{text}\n")
            }
            _ => String::new(),
        }
    }
}

fn json_lines<'a>(rows: impl Iterator<Item = RowJson<'a>>) -> String {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(&row).expect("a row that can be written as JSON"));
        text.push('\n');
    }
    json(&text).into_owned()
}

fn csv_cells(record: &AddressRecord) -> Vec<String> {
    wide(record).into_iter().map(|cell| one_line(&cell.unwrap_or_default()).into_owned()).collect()
}

/// The elements of a YAML sequence: each is a sequence of one, and several of them after each other are one of all.
fn yaml_elements<'a>(rows: impl Iterator<Item = RowJson<'a>>) -> String {
    let mut text = String::new();
    for row in rows {
        let alone = [row];
        text.push_str(&serde_saphyr::to_string(&alone.as_slice()).expect("a row that can be written as YAML"));
    }
    text
}

fn csv_lines<R>(rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = String>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.into_iter().collect::<Vec<_>>()).expect("rows of one length, in memory");
    }
    String::from_utf8(writer.into_inner().expect("memory takes all")).expect("text of text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::{Allocation, Attachment, Kind, PodName, PolicyName, Reservation};
    use store::Hold;

    fn records() -> Vec<AddressRecord> {
        let attachment =
            Attachment { network: "blue".into(), container: "0123456789abcdef".into(), interface: "eth0".into() };
        let pod = PodName { namespace: "shop".into(), name: "web-0".into(), uid: Some("u".into()), cluster: None };
        let policy = PolicyName { name: "range-fixed".into(), sha256: "ab".repeat(32), instead_of: None };
        let since = Timestamp::from_second(1_000).unwrap();
        let held = Allocation {
            address: "10.0.0.2".parse().unwrap(),
            kind: Kind::Fixed,
            attachment,
            node: "node-1".into(),
            machine: String::new(),
            pod: Some(pod),
            policy: Some(policy),
            since,
            hold: None,
            slot: None,
            why: None,
            former: None,
        };
        let until = Timestamp::from_second(9_000).unwrap();
        let hold = |address: &str| Hold { address: address.parse().unwrap(), identity: None, until, reservation: None };
        let sticky = Hold { identity: Some("a, \"b\"\n: c".into()), ..hold("10.0.0.3") };
        let printer = Reservation { reason: "printer".into(), by: "ann".into(), since, list: None };
        let reserved = Hold { reservation: Some(Box::new(printer)), ..hold("fd00::5") };
        vec![
            AddressRecord::Allocation(Box::new(held)),
            AddressRecord::Hold(sticky),
            AddressRecord::Hold(hold("fd00::4")),
            AddressRecord::Hold(reserved),
        ]
    }

    /// In two parts, as a long list is printed.
    fn printed(format: ListFormat, with_header: bool) -> String {
        let now = Timestamp::from_second(4_600).unwrap();
        let mut printed = Printed::new(format, with_header);
        let records = records();
        let text = printed.rows(&records[..1], now) + &printed.rows(&records[1..], now);
        text + &printed.end(true)
    }

    #[test]
    fn every_format_is_as_the_snapshot_says() {
        let mut all = String::new();
        for format in ListFormat::value_variants() {
            let name = format.to_possible_value().unwrap();
            all.push_str(&format!("-o {}\n{}\n", name.get_name(), printed(*format, true)));
        }
        insta::assert_snapshot!("formats", all);
    }

    #[test]
    fn what_programs_read_can_be_read_back() {
        let rows: serde_json::Value = serde_json::from_str(&printed(ListFormat::Json, true)).unwrap();
        let lines: Vec<serde_json::Value> =
            printed(ListFormat::Jsonl, true).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows, serde_json::Value::Array(lines));
        assert_eq!(serde_saphyr::from_str::<serde_json::Value>(&printed(ListFormat::Yaml, true)).unwrap(), rows);
        let table = printed(ListFormat::Csv, true);
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let identities: Vec<String> = reader.records().map(|row| row.unwrap()[15].to_owned()).collect();
        assert_eq!(identities, ["", "a, \"b\"\\n: c", "", ""]);
    }

    #[test]
    fn a_list_may_be_empty_and_without_a_header() {
        let empty = |format| Printed::new(format, true).end(false);
        assert_eq!(empty(ListFormat::Table), "no address matches\n");
        assert_eq!((empty(ListFormat::Json), empty(ListFormat::Yaml)), ("[]\n".into(), "[]\n".into()));
        assert_eq!((empty(ListFormat::Jsonl), empty(ListFormat::Name)), (String::new(), String::new()));
        assert!(empty(ListFormat::Csv).starts_with("address,kind,namespace,"));
        for format in [ListFormat::Table, ListFormat::Wide, ListFormat::Csv] {
            assert!(printed(format, false).starts_with("10.0.0.2"), "{format:?}");
        }
    }
}
