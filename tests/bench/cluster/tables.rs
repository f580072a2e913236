//! Each part of the figures as a Markdown table, for the page and for the terminal.

use limits::Thousands;

use super::figures::{ClusterFigures, Latency};

/// A table whose columns are as wide as they need to be, so that it reads well as text.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = line(&header, &widths);
    text += "|";
    for (nth, width) in widths.iter().enumerate() {
        // Names are on the left of their column, numbers on the right.
        text += &format!("{}{}|", "-".repeat(width + 1), if nth == 0 { "-" } else { ":" });
    }
    text += "\n";
    for row in rows {
        text += &line(row, &widths);
    }
    text
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = "|".to_owned();
    for (nth, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if nth == 0 {
            line += &format!(" {cell:<width$} |");
        } else {
            line += &format!(" {cell:>width$} |");
        }
    }
    line + "\n"
}

/// As many digits as matter.
pub(super) fn ms(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn percentile(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), ms)
}

fn ratio(one: &Latency, other: &Latency) -> String {
    if other.p50 == 0.0 { "–".to_owned() } else { format!("{:.2}", one.p50 / other.p50) }
}

pub(super) fn count(number: usize) -> String {
    Thousands(number as u64).to_string()
}

/// Every verb by what is held; the floor is a row of its own, and each row on etcd is compared with it.
pub(super) fn flat(figures: &ClusterFigures) -> String {
    let mut rows = Vec::new();
    for one in &figures.flat {
        let same = |row: &&super::figures::FlatFigures| row.store == one.store && row.held == one.held;
        let floor = figures.flat.iter().filter(same).find(|row| row.call == "floor");
        rows.push(vec![
            format!("{}, {}", one.call, one.store),
            count(one.held),
            ms(one.filled.p50),
            percentile(one.filled.p99),
            ms(one.empty.p50),
            ratio(&one.filled, &one.empty),
            floor.map_or_else(|| "–".to_owned(), |floor| ratio(&one.filled, &floor.filled)),
        ]);
    }
    table(&["call, store", "held", "p50 ms", "p99 ms", "none held", "÷ none held", "÷ floor"], &rows)
}

pub(super) fn policies(figures: &ClusterFigures) -> String {
    let mut rows = Vec::new();
    for one in &figures.policies {
        rows.push(vec![
            one.policy.clone(),
            count(one.held),
            ms(one.filled.p50),
            percentile(one.filled.p99),
            ms(one.empty.p50),
            ratio(&one.filled, &one.empty),
        ]);
    }
    table(&["policy", "held", "p50 ms", "p99 ms", "none held", "÷ none held"], &rows)
}

pub(super) fn fills(figures: &ClusterFigures) -> String {
    let mut rows = Vec::new();
    for one in figures.fills.iter().filter(|one| one.claims > 0) {
        rows.push(vec![
            one.store.clone(),
            count(one.held),
            format!("{:.0}", one.claims as f64 / one.seconds),
            format!("{:.0}", one.database_bytes as f64 / f64::from(1 << 20)),
            format!("{:.0}", one.database_bytes as f64 / one.held as f64),
        ]);
    }
    table(&["store", "held", "claims/s", "database MiB", "bytes for each held"], &rows)
}

pub(super) fn churn(figures: &ClusterFigures) -> String {
    let mut rows = Vec::new();
    for one in &figures.churn {
        let beside =
            if one.status_nodes > 0 { format!(", STATUS of {} nodes", count(one.status_nodes)) } else { String::new() };
        rows.push(vec![
            format!("{}{beside}", one.rate),
            format!("{:.1}", one.achieved),
            one.failed.to_string(),
            ms(one.add.p50),
            percentile(one.add.p99),
            percentile(one.add.p999),
            ms(one.del.p50),
            percentile(one.del.p99),
            one.status.as_ref().map_or_else(|| "–".to_owned(), |status| percentile(status.p99)),
        ]);
    }
    let header = [
        "pods/s asked for",
        "pods/s had",
        "failed",
        "ADD p50 ms",
        "p99",
        "p99.9",
        "DEL p50 ms",
        "p99",
        "STATUS p99 ms",
    ];
    table(&header, &rows)
}

pub(super) fn spent(figures: &ClusterFigures) -> String {
    let mut rows = Vec::new();
    for one in &figures.churn {
        let beside = if one.status_nodes > 0 { " and STATUS" } else { "" };
        rows.push(vec![
            format!("{}{beside}", one.rate),
            ms(one.spent.plugin_ms),
            ms(one.spent.etcd_ms),
            ms(one.spent.bench_ms),
            format!("{:.2}", one.spent.busy_cores),
            format!("{:.2}", one.spent.other_cores),
            format!("{:.0}", one.spent.flushes_per_second),
            ms(one.spent.flush_ms),
        ]);
    }
    let header = [
        "pods/s asked for",
        "plugin ms/pod",
        "etcd ms/pod",
        "benchmark ms/pod",
        "busy cores",
        "of them other",
        "flushes/s",
        "flush ms",
    ];
    table(&header, &rows)
}

pub(super) fn storms(figures: &ClusterFigures) -> String {
    let mut rows = Vec::new();
    for one in &figures.storms {
        rows.push(vec![
            one.storm.clone(),
            count(one.at_a_time),
            format!("{:.2}", one.seconds),
            format!("{:.0}", one.calls as f64 / one.seconds),
            ms(one.latency.p50),
            percentile(one.latency.p99),
            ms(one.latency.most),
            format!("{:.2}", one.decided_again),
            one.failed.to_string(),
        ]);
    }
    let header =
        ["storm", "at a time", "seconds", "ADD/s", "p50 ms", "p99 ms", "longest ms", "decided again", "failed"];
    table(&header, &rows)
}

pub(super) fn commands(figures: &ClusterFigures) -> String {
    let mut rows = Vec::new();
    for one in &figures.commands {
        rows.push(vec![
            format!("`{}`, {}", one.command, one.store),
            count(one.held),
            format!("{:.2}", one.first_output_seconds),
            format!("{:.2}", one.seconds),
            format!("{:.0}", one.peak_mb),
        ]);
    }
    table(&["command, store", "held", "first output s", "all of it s", "peak MB"], &rows)
}

fn members(number: usize) -> String {
    if number == 1 { "one member".to_owned() } else { format!("{number} members") }
}

/// A list of what has a name and one value.
fn facts(facts: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in facts {
        text += &format!("- {name}: {value}\n");
    }
    text
}

pub(super) fn machine(figures: &ClusterFigures) -> String {
    let machine = &figures.machine;
    let rows = [
        ("measured on", machine.date.clone()),
        ("program", machine.program.clone()),
        ("etcd", format!("{}, {} on this machine", machine.etcd, members(figures.settings.members))),
        ("processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("memory", format!("{} GiB", machine.memory_gib)),
        ("kernel", machine.kernel.clone()),
        ("file system of etcd", machine.file_system.clone()),
        ("a flush of 2 KiB to the disk, median", format!("{} ms", ms(machine.flush_ms))),
        ("busy before the run", format!("{:.2} cores", machine.busy_before)),
    ];
    facts(&rows)
}

pub(super) fn floor(figures: &ClusterFigures) -> String {
    let Some(floor) = &figures.floor else { return String::new() };
    let benchmark = match floor.benchmark_per_second {
        Some(rate) => format!("{} a second", count(rate as usize)),
        None => "not measured: `ETCD_BENCHMARK` named no such tool".to_owned(),
    };
    let rows = [
        (
            "one write to etcd, alone",
            format!("p50 {} ms, p99 {} ms", ms(floor.put_alone.p50), percentile(floor.put_alone.p99)),
        ),
        ("writes of 256 bytes, 64 at a time", format!("{} a second", count(floor.puts_per_second as usize))),
        ("the same by etcd's `benchmark put`", benchmark),
        (
            "claims on the embedded store, one after the other",
            format!("{} a second", count(floor.embedded_per_second as usize)),
        ),
        ("an ADD and a DEL add to etcd's database", format!("{} bytes", count(floor.bytes_per_start as usize))),
    ];
    facts(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = [vec!["ADD".to_owned(), "1.25".to_owned()], vec!["a long one".to_owned(), "–".to_owned()]];
        let expected = "\
| call       |   ms |
|------------|-----:|
| ADD        | 1.25 |
| a long one |    – |
";
        assert_eq!(table(&["call", "ms"], &rows), expected);
    }

    #[test]
    fn times_have_as_many_digits_as_matter() {
        assert_eq!([0.234, 12.34, 123.4].map(ms), ["0.23", "12.3", "123"]);
    }
}
