//! The figures of `docs/reliability.md`, between two marks each. What is around them is written by people.

use std::path::Path;

use crate::explore::Searched;
use crate::mutants::Hunted;

/// Put figures in their place on the page.
pub fn write(page: &Path, mark: &str, figures: &str) -> Result<(), String> {
    let shown = |error: std::io::Error| format!("{}: {error}", page.display());
    let text = std::fs::read_to_string(page).map_err(shown)?;
    let (begin, end) = (format!("<!-- {mark}: begin -->\n"), format!("<!-- {mark}: end -->"));
    let missing = || format!("{} has no place for {mark}", page.display());
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    std::fs::write(page, format!("{before}{begin}{figures}{end}{after}")).map_err(shown)
}

/// A table of what was searched.
pub fn schedules(rows: &[(String, String, Searched)]) -> String {
    let mut table =
        String::from("| scenario | what happens at once | schedules | all that cost at most | faults | minutes |\n");
    table.push_str("|---|---|---:|---:|---:|---:|\n");
    let mut sum = Searched::default();
    for (name, what, searched) in rows {
        let whole = searched.whole.map_or_else(|| "at random".to_owned(), |whole| whole.to_string());
        table.push_str(&row(name, what, searched, &whole));
        sum.add(searched);
    }
    table.push_str(&row("all", "", &sum, ""));
    table
}

fn row(name: &str, what: &str, searched: &Searched, whole: &str) -> String {
    let minutes = searched.took.as_secs_f64() / 60.0;
    let (schedules, faults) = (thousands(searched.schedules), thousands(searched.faults));
    format!("| {name} | {what} | {schedules} | {whole} | {faults} | {minutes:.1} |\n")
}

/// A table of mutants.
pub fn mutants(hunted: &[Hunted]) -> String {
    let mut table = String::from("| mutant | what it breaks | found | seconds |\n|---|---|---|---:|\n");
    for Hunted { mutant, found, took } in hunted {
        let found = found.as_deref().unwrap_or("**not found**").replace('|', "/");
        table.push_str(&format!("| {} | {} | {found} | {:.1} |\n", mutant.name, mutant.what, took.as_secs_f64()));
    }
    table
}

fn thousands(number: u64) -> String {
    limits::Thousands(number).to_string()
}
