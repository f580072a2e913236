//! What became of each entry, for people and for programs.

use serde::Serialize;

use crate::cli::output;
use ipam::Holder;
use store::{Hold, Imported};

/// The detail of a row whose records another process changed between the read and the write.
pub(super) const CHANGED: &str = "its records changed meanwhile: run it again";

/// One entry of the other plugin's records, and what became of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct ImportRow {
    pub(super) address: String,
    pub(super) container: String,
    pub(super) interface: String,
    pub(super) action: ImportAction,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) detail: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ImportAction {
    Imported,
    WouldImport,
    AlreadyHeld,
    /// Another attachment holds it here: two containers may be using the address.
    HeldByAnother,
    #[default]
    Skipped,
    SetAside,
    WouldSetAside,
}

impl ImportRow {
    pub(super) fn say(&mut self, imported: &Imported, rehearsed: bool) {
        self.action = match imported {
            Imported::Done if rehearsed => ImportAction::WouldImport,
            Imported::Done => ImportAction::Imported,
            Imported::Already => ImportAction::AlreadyHeld,
            Imported::Taken(holder) => {
                self.detail = describe(holder);
                ImportAction::HeldByAnother
            }
            Imported::Changed => {
                self.detail = CHANGED.to_owned();
                ImportAction::Skipped
            }
        };
    }
}

pub(super) fn describe(holder: &Holder) -> String {
    match holder {
        Holder::Attachment(held) => format!("{} on node {}", held.attachment, held.node),
        Holder::Hold { identity, until } => Hold::describe(identity, *until),
        Holder::Reservation(reservation) => reservation.to_string(),
    }
}

/// `done` is what is done to an entry, in one word: "imported".
pub(super) fn table(rows: &[ImportRow], done: &str) -> String {
    let header = ["ADDRESS", "CONTAINER", "INTERFACE", "ACTION", "DETAIL"];
    output::table(&header, rows.iter().map(|row| cells(row, done)))
}

fn cells(row: &ImportRow, done: &str) -> Vec<String> {
    vec![
        row.address.clone(),
        row.container.chars().take(13).collect(),
        row.interface.clone(),
        describe_action(row.action, done),
        row.detail.clone(),
    ]
}

fn describe_action(action: ImportAction, done: &str) -> String {
    match action {
        ImportAction::Imported => done.to_owned(),
        ImportAction::WouldImport => format!("would be {done}"),
        ImportAction::AlreadyHeld => "already held by it".to_owned(),
        ImportAction::HeldByAnother => "held by another".to_owned(),
        ImportAction::Skipped => "skipped".to_owned(),
        ImportAction::SetAside => "set aside".to_owned(),
        ImportAction::WouldSetAside => "would be set aside".to_owned(),
    }
}
