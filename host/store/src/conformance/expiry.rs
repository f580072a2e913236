//! Holds that are over leave nothing behind: the keys at rest follow what is held and on hold.

use crate::map::Map;
use std::time::Duration;

use super::bench::{Bench, dynamic, held_for, ip, requester};
use ipam::Family;
use ipam::address::number;
use limits::store::HOLD;

/// Far more cycles than addresses that are held back at any moment, over a range that is never walked through.
pub(crate) async fn cycles_of_claim_and_release_leave_nothing(map: Map) {
    cycles(map, 400).await;
}

pub(crate) async fn cycles(map: Map, cycles: u64) {
    let bench = Bench::new(map, &["fd00::/64"]);
    let store = bench.store.with_cooldown(Some(Duration::from_secs(10)));
    let bench = Bench { store, ..bench };
    let mut most = 0;
    for nth in 0..cycles {
        let pod = requester(&format!("c{nth}"), "");
        let address = Family::V6.address(number(ip("fd00::2")) + u128::from(nth)).to_string();
        let keeps = nth % 3 == 0;
        let wanted = if keeps { held_for(&format!("id-{nth}"), 5, dynamic(&address)) } else { dynamic(&address) };
        bench.hold(&pod, &[wanted]).await;
        bench.release(&pod).await.unwrap();
        bench.pass(Duration::from_secs(1));
        if nth % 50 == 49 {
            most = most.max(bench.keys_at_rest().await);
        }
    }
    // Ten addresses cool down or are on hold at a time, with at most three keys each, and there is one cursor.
    assert!(most <= 40, "{most} keys after {cycles} cycles");
    bench.pass(Duration::from_secs(20));
    bench.store.remove_expired(bench.now.get(), 100).await.unwrap();
    assert_eq!(bench.keys_at_rest().await, 1, "the cursor");
    bench.agrees().await;
}

/// A hold that was renewed or taken since it was read as over stays.
pub(crate) async fn only_what_is_still_over_is_removed(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[held_for("me", 1, dynamic("10.0.0.2"))]).await;
    bench.release(&one).await;
    bench.pass(Duration::from_secs(2));
    let look = bench.look(&requester("two", "b"), &[]).await;
    // Meanwhile the pod comes back and leaves again: the hold is a new one.
    bench.hold(&one, &[held_for("me", 60, dynamic("10.0.0.2"))]).await;
    bench.release(&one).await;
    bench.store.claim(look, &[vec![dynamic("10.0.0.7")]], None, &[]).await.unwrap();
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("kept for me"));
    bench.agrees().await;
}

/// No policy may ask for so long a hold, but a record may say it.
pub(crate) async fn no_hold_lasts_longer_than_the_limit(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[held_for("me", u64::MAX, dynamic("10.0.0.2"))]).await;
    bench.release(&one).await;
    let kept = bench.store.standing_holds(bench.now.get()).await.unwrap();
    assert_eq!((kept[0].address, kept[0].until), (ip("10.0.0.2"), bench.now.get() + HOLD));
    bench.agrees().await;
}
