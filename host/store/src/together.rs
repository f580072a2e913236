//! Changes that have nothing to do with each other, several in one transaction: what an operator writes by the thousand
//! would else wait for a disk, or for etcd's members, at each.

use super::Store;
use super::error::StoreError;
use super::ordered::{Change, Commit, OrderedMap};
use limits::store::ETCD_OPERATIONS;

impl Store {
    /// Commit these changes, which name different keys. For each, whether it was made: where one of several that went
    /// together loses, each of them is tried by itself.
    pub(super) async fn commit_together(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        let mut made = Vec::with_capacity(changes.len());
        for part in parts(changes) {
            let mut joined = Change::default();
            for change in part {
                joined.join(change);
            }
            if self.map.commit(&[joined]).await? != Commit::Lost {
                made.extend(std::iter::repeat_n(true, part.len()));
                continue;
            }
            if part.len() == 1 {
                made.push(false);
                continue;
            }
            for change in part {
                made.push(self.map.commit(std::slice::from_ref(change)).await? != Commit::Lost);
            }
        }
        Ok(made)
    }
}

/// Cut into parts that etcd takes in one transaction each. One that is too large by itself is sent alone: etcd says so.
fn parts(changes: &[Change]) -> Vec<&[Change]> {
    let mut parts = Vec::new();
    let mut rest = changes;
    while !rest.is_empty() {
        let (mut guards, mut writes, mut fitting) = (0, 0, 0);
        for change in rest {
            guards += change.guards().len();
            writes += change.writes().len();
            if guards.max(writes) >= ETCD_OPERATIONS {
                break;
            }
            fitting += 1;
        }
        let (part, after) = rest.split_at(fitting.max(1));
        parts.push(part);
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_within_what_etcd_takes() {
        let lengths = |changes: Vec<Change>| parts(&changes).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(lengths(vec![Change::of_writes(4); 60]), [29, 29, 2]);
        assert_eq!(lengths(vec![Change::of_writes(4), Change::of_writes(500), Change::of_writes(4)]), [1, 1, 1]);
        assert_eq!(lengths(Vec::new()), [0; 0]);
    }
}
