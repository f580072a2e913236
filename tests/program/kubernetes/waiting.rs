//! An ADD waits for a holder that is on its way out, within its time.

use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::listing::held;
use kube_ipam_tests::program::wait;
use serde_json::{Value, json};

use super::{Site, add, del};

const ADDRESS: &str = "10.188.0.216";

/// Pod `old` holds the address in container `c-old`; pod `new` is there and wants it.
fn succession(ipam: &Value) -> (Site, Value, String) {
    let site = Site::new();
    let network = site.network(ipam);
    let old = site.fixed_pod("old", ADDRESS);
    assert_eq!(add(&network, "c-old", "old", &old).addresses(), [ADDRESS]);
    let new = site.fixed_pod("new", ADDRESS);
    (site, network, new)
}

#[test]
fn the_address_of_a_pod_that_is_being_deleted_is_given_within_a_second_of_its_del() {
    let (site, network, new) = succession(&json!({"timeout": "30s"}));
    site.server.terminate_pod("shop", "old");
    let waiting = Call::new("ADD", "c-new", &network).for_pod("shop", "new", &new).start();
    std::thread::sleep(Duration::from_secs(3));
    del(&network, "c-old");
    let released = Instant::now();
    assert_eq!(wait(waiting).addresses(), [ADDRESS]);
    assert!(released.elapsed() < Duration::from_secs(2), "half a second, and time to decide");
    assert_eq!(held(&network)[ADDRESS], "c-new");
}

#[test]
fn a_pod_that_goes_without_a_del_is_waited_for_as_well() {
    let (site, network, new) = succession(&json!({"timeout": "30s"}));
    site.server.terminate_pod("shop", "old");
    let waiting = Call::new("ADD", "c-new", &network).for_pod("shop", "new", &new).start();
    std::thread::sleep(Duration::from_secs(1));
    site.server.delete_pod("shop", "old");
    assert_eq!(wait(waiting).addresses(), [ADDRESS]);
    del(&network, "c-old");
    assert_eq!(held(&network)[ADDRESS], "c-new");
}

#[test]
fn what_was_waited_for_is_named_where_it_takes_too_long() {
    let (site, network, new) = succession(&json!({"handOverWait": "1500ms"}));
    site.server.terminate_pod("shop", "old");
    let start = Instant::now();
    let (code, text) = add(&network, "c-new", "new", &new).failure();
    assert_eq!(code, 102, "{text}");
    assert!(start.elapsed() >= Duration::from_millis(1_400), "it did not wait");
    for word in ["shop/old", "being deleted", "1.5 s", "ipam.handOverWait"] {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
    assert_eq!(held(&network)[ADDRESS], "c-old");
}

/// Its containers have ended; whatever is left of its sandbox gets some time to be released in order.
#[test]
fn a_finished_pod_is_waited_for_and_then_gives_way() {
    let (site, network, new) = succession(&json!({"handOverWait": "1s"}));
    site.server.set_phase("shop", "old", "Failed");
    let start = Instant::now();
    assert_eq!(add(&network, "c-new", "new", &new).addresses(), [ADDRESS]);
    assert!(start.elapsed() >= Duration::from_millis(900), "it did not wait");
}

#[test]
fn waiting_can_be_switched_off_and_never_outlasts_the_call() {
    let (site, mut network, new) = succession(&json!({"handOverWait": "0s"}));
    site.server.terminate_pod("shop", "old");
    let start = Instant::now();
    let (code, text) = add(&network, "c-new", "new", &new).failure();
    assert!(code == 102 && text.contains("being deleted"), "{code} {text}");
    assert!(start.elapsed() < Duration::from_secs(2), "it waited");
    network["ipam"]["timeout"] = json!("3s");
    network["ipam"]["handOverWait"] = json!("3s");
    let start = Instant::now();
    let (code, text) = add(&network, "c-new", "new", &new).failure();
    assert!(code == 102 && text.contains("ipam.handOverWait"), "{code} {text}");
    assert!(start.elapsed() < Duration::from_secs(3), "the answer came in time: {:?}", start.elapsed());
}

#[test]
fn a_pod_that_lives_is_not_waited_for() {
    let (_site, network, new) = succession(&json!({"timeout": "30s"}));
    let start = Instant::now();
    assert_eq!(add(&network, "c-new", "new", &new).failure().0, 102);
    assert!(start.elapsed() < Duration::from_secs(5));
}
