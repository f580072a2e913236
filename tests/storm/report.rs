//! Figures of a long run: printed as a table, and kept as JSON where a `make` target asks for them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Rows of one kind, yet to be written.
pub(crate) struct Report {
    name: &'static str,
    rows: Vec<Value>,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rows: Vec::new() }
    }

    /// A row: an object whose keys are the columns.
    pub(crate) fn add(&mut self, row: Value) {
        self.rows.push(row);
    }

    /// Print the tables, and write NAME.json and NAME.md into the directory that `KUBE_IPAM_REPORTS` names.
    pub(crate) fn write(&self) {
        let tables = self.tables();
        eprintln!("{tables}");
        let Some(directory) = std::env::var_os("KUBE_IPAM_REPORTS").filter(|directory| !directory.is_empty()) else {
            return;
        };
        let document = json!({"report": self.name, "version": env!("CARGO_PKG_VERSION"), "rows": self.rows});
        fs::create_dir_all(&directory).unwrap();
        let file = Path::new(&directory).join(self.name);
        fs::write(file.with_extension("json"), serde_json::to_string_pretty(&document).unwrap() + "\n").unwrap();
        fs::write(file.with_extension("md"), tables).unwrap();
    }

    /// As Markdown: rows that follow one another and have the same columns are a table.
    fn tables(&self) -> String {
        let mut text = String::new();
        let mut before: Vec<&String> = Vec::new();
        for row in &self.rows {
            let columns: Vec<&String> = row.as_object().unwrap().keys().collect();
            if columns != before {
                let names: Vec<&str> = columns.iter().map(|name| name.as_str()).collect();
                writeln!(text, "\n| {} |\n|{}", names.join(" | "), "---|".repeat(names.len())).unwrap();
            }
            let cells: Vec<String> = columns.iter().map(|name| cell(&row[name.as_str()])).collect();
            writeln!(text, "| {} |", cells.join(" | ")).unwrap();
            before = columns;
        }
        text.trim_start().to_owned()
    }
}

/// A value without the marks of JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" → "),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}: {}", cell(value))).collect::<Vec<_>>().join("; ")
        }
        number => number.to_string(),
    }
}
