//! Changes as etcd transactions: each alternative is the `else` of the one before.

use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse, TxnResponse};

use crate::ordered::{Change, Commit, Guard, Write};
use limits::store::{ETCD_FIRST, ETCD_NESTING, ETCD_OPERATIONS};

/// Cut alternatives into parts of one transaction each. etcd counts, over all levels, the longer of each level's
/// compares and writes.
pub(super) fn parts(alternatives: &[Change]) -> Vec<&[Change]> {
    let mut parts = Vec::new();
    let mut rest = alternatives;
    // A further part is a further round trip, but each alternative in the first one costs a lonely claim time: that part is
    // as deep as nearly always suffices, the others as deep as etcd allows. Whoever brings few has lost no race yet: policies
    // bring more after one. Nearly always the first of them wins, so that it goes alone.
    let mut depth = if alternatives.len() > ETCD_FIRST { ETCD_FIRST } else { 1 };
    while !rest.is_empty() {
        let (mut fitting, mut operations) = (0, 0);
        for change in rest.iter().take(depth) {
            operations += count_operations(change);
            if operations > ETCD_OPERATIONS {
                break;
            }
            fitting += 1;
        }
        // One that is too large by itself is sent alone: etcd says so by name.
        let (part, after) = rest.split_at(fitting.max(1));
        parts.push(part);
        rest = after;
        depth = ETCD_NESTING;
    }
    parts
}

fn count_operations(change: &Change) -> usize {
    // One more for the nested transaction itself, and for each that a conditional write is.
    let conditional = change.writes().iter().filter(|write| matches!(write, Write::DeleteIf(..))).count();
    change.guards().len().max(change.writes().len()).max(1) + conditional + 1
}

/// One transaction that applies the first change whose guards hold.
pub(super) fn nested(alternatives: &[Change]) -> Txn {
    let mut whole: Option<Txn> = None;
    // From the last to the first: each is the `else` of the one before.
    for change in alternatives.iter().rev() {
        let guards: Vec<Compare> = change.guards().iter().map(compare).collect();
        let writes: Vec<TxnOp> = change.writes().iter().map(operation).collect();
        let txn = Txn::new().when(guards).and_then(writes);
        whole = Some(match whole {
            Some(otherwise) => txn.or_else([TxnOp::txn(otherwise)]),
            None => txn,
        });
    }
    whole.unwrap_or_default()
}

/// Which change it was: as many levels deep as transactions failed.
pub(super) fn outcome(mut response: TxnResponse) -> Commit {
    for index in 0.. {
        if response.succeeded() {
            return Commit::Done(index);
        }
        match response.op_responses().into_iter().next() {
            Some(TxnOpResponse::Txn(otherwise)) => response = otherwise,
            _ => break,
        }
    }
    Commit::Lost
}

fn compare(guard: &Guard) -> Compare {
    match guard {
        Guard::Absent(key) => Compare::version(key.as_str(), CompareOp::Equal, 0),
        Guard::Is(key, value) => Compare::value(key.as_str(), CompareOp::Equal, value.as_slice()),
    }
}

fn operation(write: &Write) -> TxnOp {
    match write {
        Write::Put(key, value) => TxnOp::put(key.as_str(), value.as_slice(), None),
        Write::Delete(key) => TxnOp::delete(key.as_str(), None),
        Write::DeleteIf(key, value) => {
            let same = Compare::value(key.as_str(), CompareOp::Equal, value.as_slice());
            TxnOp::txn(Txn::new().when([same]).and_then([TxnOp::delete(key.as_str(), None)]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_the_order_and_the_limits() {
        let lengths = |changes: Vec<Change>| parts(&changes).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(lengths(vec![Change::of_writes(5); 64]), [4, 20, 20, 20]);
        assert_eq!(lengths(vec![Change::of_writes(0); 90]), [4, 40, 40, 6]);
        // Of a claim that has lost no race, and of a release.
        assert_eq!(lengths(vec![Change::of_writes(5); 4]), [1, 3]);
        assert_eq!(lengths(vec![Change::of_writes(5); 2]), [1, 1]);
        // One that is too large for etcd is sent alone: etcd says so.
        assert_eq!(lengths(vec![Change::of_writes(3), Change::of_writes(200), Change::of_writes(3)]), [1, 1, 1]);
        assert_eq!(lengths(vec![]), [0; 0]);
    }
}
