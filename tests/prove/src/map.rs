//! The store's ordered map as a process sees it: every call waits until the schedule lets its answer come.

use store::StoreError;
use store::memory::MemoryView;
use store::ordered::{Change, Commit, OrderedMap, Page, Read, View};

use crate::sim::{Asked, Told, ask};

/// The map of the schedule that runs.
pub struct SimulatedMap;

/// The map at one moment. Its reads do not wait: nothing that others do meanwhile could show in them.
pub struct SimulatedView {
    view: MemoryView,
    /// Whether the store forgets the moment before the first read.
    is_forgotten: bool,
}

/// A call that no schedule answers so.
fn unexpected() -> StoreError {
    StoreError::Unreachable { failures: vec!["the simulation gave another kind of answer".to_owned()] }
}

impl OrderedMap for SimulatedMap {
    type View = SimulatedView;

    async fn view(&self) -> Result<SimulatedView, StoreError> {
        match ask(Asked::View).await {
            Told::View(view, is_forgotten) => Ok(SimulatedView { view, is_forgotten }),
            Told::StoreError(error) => Err(error),
            _ => Err(unexpected()),
        }
    }

    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        match ask(Asked::Commit(alternatives.to_vec())).await {
            Told::Commit(commit) => Ok(commit),
            Told::StoreError(error) => Err(error),
            _ => Err(unexpected()),
        }
    }

    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError> {
        match ask(Asked::Confirm(key.to_owned())).await {
            Told::Confirm(absent) => Ok(absent),
            Told::StoreError(error) => Err(error),
            _ => Err(unexpected()),
        }
    }

    async fn ping(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn rehearse(&self, _: &[String]) -> Result<(), StoreError> {
        Ok(())
    }
}

impl View for SimulatedView {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        if std::mem::take(&mut self.is_forgotten) {
            return Err(StoreError::Compacted);
        }
        self.view.read(reads).await
    }
}
