//! Work while an answer travels. On one thread, work that does not wait is best done when everything else waits.

use std::pin::pin;

/// How often others may run first: connecting and sending a question takes an event loop two turns.
const TURNS: usize = 3;

/// Ask, and do the work once the question is on its way. An answer that is there at once, as that of a store on disk,
/// leaves the work undone.
pub(super) async fn meanwhile<T, U>(answer: impl Future<Output = T>, work: impl FnOnce() -> U) -> (T, Option<U>) {
    let mut answer = pin!(answer);
    for _ in 0..TURNS {
        tokio::select! {
            biased;
            answer = &mut answer => return (answer, None),
            () = tokio::task::yield_now() => {}
        }
    }
    let done = work();
    (answer.await, Some(done))
}
