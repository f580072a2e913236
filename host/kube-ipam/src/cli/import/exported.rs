//! A domain that `kube-ipam export` wrote: its claims, holds and reservations come into the domain of the network, as they
//! are, and over nobody's head.
//!
//! The whole file is read and found to be complete before anything is written. What is here already is left as it is, so
//! that an import that was cut off is simply run again.

use jiff::Timestamp;
use serde::Serialize;

use super::error::ImportError;
use super::options::ImportOptions;
use super::row::{CHANGED, ImportAction, ImportRow, describe, table};
use crate::cli::agree::agreed_to;
use crate::cli::export::{ExportFile, Lines};
use crate::cli::network::Opened;
use crate::cli::output::{Done, Format, Output};
use crate::journal::history::What;
use crate::runtime;
use ipam::Claim;
use limits::store::{ADMITTED_AT_ONCE, PROBLEMS_TOLD};
use store::{Arrival, Hold, MoveOutcome, Search, Store};

/// What became of the records of an export.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct DomainImport {
    claims: Counts,
    /// Holds and reservations.
    holds: Counts,
    /// The first of what stayed behind.
    problems: Vec<ImportRow>,
    more_problems: u64,
    #[serde(skip)]
    is_rehearsal: bool,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    /// In a rehearsal: those that would be imported.
    imported: u64,
    /// They were here.
    already: u64,
    left: u64,
}

/// The exit code is 0 where all of it is here now, or would be.
pub(super) fn import(options: &ImportOptions, opened: &Opened, format: Format) -> Done {
    let path = options.file.as_deref().ok_or(ImportError::NoFile { source_name: "export" })?;
    let mut file = ExportFile::open(path)?;
    runtime::block_on(refuse_other_books(opened))?;
    let mut found = DomainImport::default();
    if options.dry_run || !options.yes {
        found = runtime::block_on(run(&mut file, opened, true))?;
    }
    let plan = found.render(&heading(&file, opened));
    let is_needed = found.claims.imported + found.holds.imported > 0;
    let is_agreed = !options.dry_run && (options.yes || (is_needed && agreed_to(&plan)));
    if is_agreed {
        let mut act = options.act.begin(opened);
        found = runtime::block_on(run(&mut file, opened, false))?;
        act.on_domain(What::Imported, &heading(&file, opened));
    }
    let is_open = !is_agreed && is_needed && !options.dry_run;
    let exit = u8::from(is_open || found.claims.left + found.holds.left > 0);
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&found)?,
        Format::Table if is_agreed => found.render(""),
        Format::Table if is_open => format!("{plan}\nnothing was imported; --yes imports it"),
        Format::Table => plan,
    };
    Ok(Output { text, exit })
}

fn heading(file: &ExportFile, opened: &Opened) -> String {
    let (domain, at, here) = (&file.header.domain, file.header.at, &opened.base.domain);
    format!("{} of domain {domain:?} as it was at {at:.0}, into domain {here:?}:", file.end.counts())
}

/// A network that has its addresses in another domain of this store would have them twice.
async fn refuse_other_books(opened: &Opened) -> Result<(), ImportError> {
    let range_sets = opened.range_sets()?;
    Ok(opened.store.check_registration(&opened.base.network, &range_sets, Search::Whole).await?)
}

async fn run(file: &mut ExportFile, opened: &Opened, rehearse: bool) -> Result<DomainImport, ImportError> {
    let store = &opened.store;
    let mut found = DomainImport { is_rehearsal: rehearse, ..DomainImport::default() };
    let mut lines = file.lines()?;
    let holds = import_claims(&mut lines, store, &mut found).await?;
    import_holds(&mut lines, store, holds, &mut found).await?;
    if !rehearse {
        store.register(&opened.base.network, &opened.range_sets()?).await?;
    }
    Ok(found)
}

/// Imports claims until the first hold comes, and returns that. Claims that ceded an address to each other have to come at
/// once, wherever they are in the file: they wait for its end. There are as many as pods are being replaced at one moment.
async fn import_claims(
    lines: &mut Lines<'_>,
    store: &Store,
    found: &mut DomainImport,
) -> Result<Option<Hold>, ImportError> {
    let (mut batch, mut ceding) = (Vec::new(), Vec::new());
    let mut first_hold = None;
    while let Some(line) = lines.next()? {
        first_hold = line.hold;
        let Some(claim) = line.claim else { break };
        let is_alone = claim.counterparts().next().is_none();
        let arrival = Arrival { claim, is_newest: line.newest };
        if is_alone {
            batch.push(arrival)
        } else {
            ceding.push(arrival)
        }
        if batch.len() == ADMITTED_AT_ONCE {
            found.admit(store, std::mem::take(&mut batch)).await?;
        }
    }
    found.admit(store, batch).await?;
    found.admit(store, ceding).await?;
    Ok(first_hold)
}

async fn import_holds(
    lines: &mut Lines<'_>,
    store: &Store,
    first: Option<Hold>,
    found: &mut DomainImport,
) -> Result<(), ImportError> {
    let mut batch: Vec<Hold> = first.into_iter().collect();
    while let Some(line) = lines.next()? {
        batch.extend(line.hold);
        if batch.len() == ADMITTED_AT_ONCE {
            found.admit_holds(store, std::mem::take(&mut batch)).await?;
        }
    }
    found.admit_holds(store, batch).await
}

impl DomainImport {
    async fn admit(&mut self, store: &Store, arrivals: Vec<Arrival>) -> Result<(), ImportError> {
        if arrivals.is_empty() {
            return Ok(());
        }
        for (claim, outcome) in store.admit(arrivals, Timestamp::now(), self.is_rehearsal).await? {
            self.claims.count(&outcome);
            if let Some((action, detail)) = problem(&outcome) {
                self.tell(row_of(&claim, action, detail));
            }
        }
        Ok(())
    }

    async fn admit_holds(&mut self, store: &Store, holds: Vec<Hold>) -> Result<(), ImportError> {
        if holds.is_empty() {
            return Ok(());
        }
        for (hold, outcome) in store.admit_holds(holds, Timestamp::now(), self.is_rehearsal).await? {
            self.holds.count(&outcome);
            if let Some((action, detail)) = problem(&outcome) {
                let address = hold.address.to_string();
                self.tell(ImportRow { address, action, detail: format!("{hold}; {detail}"), ..ImportRow::default() });
            }
        }
        Ok(())
    }

    fn tell(&mut self, row: ImportRow) {
        if self.problems.len() < PROBLEMS_TOLD {
            self.problems.push(row);
        } else {
            self.more_problems += 1;
        }
    }

    fn render(&self, heading: &str) -> String {
        let mut lines: Vec<String> = Vec::new();
        if !heading.is_empty() {
            lines.push(heading.to_owned());
        }
        if !self.problems.is_empty() {
            lines.push(table(&self.problems, "imported"));
        }
        if self.more_problems > 0 {
            lines.push(format!("and {} more", self.more_problems));
        }
        lines.push(self.claims.render("claims", self.is_rehearsal));
        lines.push(self.holds.render("holds and reservations", self.is_rehearsal));
        lines.join("\n")
    }
}

impl Counts {
    fn count(&mut self, outcome: &MoveOutcome) {
        match outcome {
            MoveOutcome::Done => self.imported += 1,
            MoveOutcome::Already => self.already += 1,
            MoveOutcome::Taken(..) | MoveOutcome::Differs(_) | MoveOutcome::Changed => self.left += 1,
        }
    }

    fn render(&self, what: &str, is_rehearsal: bool) -> String {
        let Self { imported, already, left } = self;
        let would = if is_rehearsal { "would be " } else { "" };
        format!("{what}: {imported} {would}imported, {already} here already, {left} left")
    }
}

/// Why a record stays behind; `None` where it does not.
fn problem(outcome: &MoveOutcome) -> Option<(ImportAction, String)> {
    match outcome {
        MoveOutcome::Done | MoveOutcome::Already => None,
        MoveOutcome::Taken(address, holder) => {
            Some((ImportAction::HeldByAnother, format!("{address}: {}", describe(holder))))
        }
        MoveOutcome::Differs(why) => Some((ImportAction::Skipped, why.clone())),
        MoveOutcome::Changed => Some((ImportAction::Skipped, CHANGED.to_owned())),
    }
}

fn row_of(claim: &Claim, action: ImportAction, detail: String) -> ImportRow {
    let addresses: Vec<String> = claim.addresses().map(|address| address.to_string()).collect();
    ImportRow {
        address: addresses.join(","),
        container: claim.attachment.container.clone(),
        interface: claim.attachment.interface.clone(),
        action,
        detail,
    }
}
