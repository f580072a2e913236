//! Rolling updates: by default nobody takes an address from a pod that lives, and where its annotation lets a newer
//! revision have it, the pod gets it back when that one ends.

use std::collections::BTreeMap;

use kube_ipam_tests::Call;
use kube_ipam_tests::apiserver::{PodBuilder, ReplicaSet};
use kube_ipam_tests::listing::{held, operate};
use serde_json::{Value, json};

use super::{PODS, Site, add, del};

const ADDRESS: &str = "10.188.0.216";
const HAND_OVER: &str = "kube-ipam.hand-over";

/// Deployment `web` with two revisions, and the network its pods are in.
struct RollOut {
    site: Site,
    network: Value,
    deployment: String,
    first: ReplicaSet,
    second: ReplicaSet,
    /// What the pods say about a hand-over.
    consent: Option<&'static str>,
}

impl RollOut {
    fn new(consent: Option<&'static str>) -> Self {
        let site = Site::new();
        let network = site.hurried(&json!({}));
        let deployment = site.server.deployment("shop", "web");
        let first = site.server.replica_set("shop", "web-aaa", ("web", &deployment), 1);
        let second = site.server.replica_set("shop", "web-bbb", ("web", &deployment), 2);
        Self { site, network, deployment, first, second, consent }
    }

    /// A pod that wants the address, yet to be created.
    fn pod(&self, name: &str) -> PodBuilder<'_> {
        let pod = self.site.pod(name).annotated("kube-ipam.ip", ADDRESS);
        if let Some(word) = self.consent { pod.annotated(HAND_OVER, word) } else { pod }
    }

    /// ADD of a new pod of a ReplicaSet.
    fn start(&self, name: &str, set: &ReplicaSet) -> kube_ipam_tests::Answer {
        let uid = self.pod(name).of(set).create();
        add(&self.network, &format!("c-{name}"), name, &uid)
    }

    /// It has to be refused by name of the holder, with these words.
    fn refused(&self, answer: &kube_ipam_tests::Answer, holder: &str, words: &[&str]) {
        let (code, text) = answer.failure();
        assert_eq!(code, 102, "{text}");
        assert!(text.len() <= 700, "{} characters: {text}", text.len());
        for word in words.iter().chain(&[ADDRESS, &format!("shop/{holder}")]) {
            assert!(text.contains(word), "{word:?} is missing in {text}");
        }
        self.holds(holder);
    }

    fn holds(&self, pod: &str) {
        assert_eq!(held(&self.network), BTreeMap::from([(ADDRESS.to_owned(), format!("c-{pod}"))]));
    }

    fn end(&self, pod: &str) {
        self.site.server.terminate_pod("shop", pod);
        del(&self.network, &format!("c-{pod}"));
        self.site.server.delete_pod("shop", pod);
    }

    fn check(&self, pod: &str) -> kube_ipam_tests::Answer {
        let mut network = self.network.clone();
        let ips = json!([{"address": format!("{ADDRESS}/24")}]);
        network["prevResult"] = json!({"cniVersion": "1.1.0", "ips": ips});
        Call::new("CHECK", &format!("c-{pod}"), &network).run()
    }

    fn show(&self, what: &str) -> String {
        let output = operate(&["show", what], &self.network);
        String::from_utf8(output.stdout).unwrap()
    }

    fn is_sound(&self) {
        let output = operate(&["fsck"], &self.network);
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn by_default_a_living_pod_keeps_its_address_and_the_choices_are_named() {
    for consent in [None, Some("never")] {
        let roll_out = RollOut::new(consent);
        assert_eq!(roll_out.start("old", &roll_out.first).addresses(), [ADDRESS]);
        let answer = roll_out.start("new", &roll_out.second);
        match consent {
            None => roll_out.refused(
                &answer,
                "old",
                &[
                    "older revision",
                    "Recreate",
                    "maxSurge: 0",
                    "maxUnavailable: 1",
                    "kube-ipam.hand-over: \"rolling-update\"",
                ],
            ),
            Some(_) => roll_out.refused(&answer, "old", &["still exists"]),
        }
        roll_out.check("old").success();
        // The roll-out goes on once the old pod is gone, as with Recreate.
        roll_out.end("old");
        let again = roll_out.site.server.uid("pods", "shop", "new");
        assert_eq!(add(&roll_out.network, "c-new", "new", &again).addresses(), [ADDRESS]);
        roll_out.is_sound();
    }
}

#[test]
fn a_newer_revision_has_the_address_of_one_that_cedes_it() {
    let roll_out = RollOut::new(Some("rolling-update"));
    assert_eq!(roll_out.start("old", &roll_out.first).addresses(), [ADDRESS]);
    roll_out.refused(&roll_out.start("twin", &roll_out.first), "old", &["still exists"]);
    assert_eq!(roll_out.start("new", &roll_out.second).addresses(), [ADDRESS]);
    roll_out.holds("new");
    // The Deployment stops the old pod once the new one is ready.
    roll_out.end("old");
    roll_out.holds("new");
    roll_out.is_sound();
    // A pod of the old revision that is created again is not newer.
    roll_out.refused(&roll_out.start("again", &roll_out.first), "new", &["still exists"]);
}

#[test]
fn a_roll_out_that_is_undone_half_way_gives_the_address_back() {
    let roll_out = RollOut::new(Some("rolling-update"));
    roll_out.start("old", &roll_out.first).success();
    assert_eq!(roll_out.start("new", &roll_out.second).addresses(), [ADDRESS]);
    roll_out.is_sound();

    // The old pod is told what happened, and so is everybody who looks.
    let (code, text) = roll_out.check("old").failure();
    assert!(code == 106 && text.contains("shop/new") && text.contains("comes back"), "{code} {text}");
    let uid = roll_out.site.server.uid("pods", "shop", "old");
    let (code, text) = add(&roll_out.network, "c-old", "old", &uid).failure();
    assert!(code == 102 && text.contains("shop/new") && text.contains("comes back"), "{code} {text}");
    for what in [ADDRESS, "shop/new", "c-new", "shop/old", "c-old"] {
        let shown = roll_out.show(what);
        assert!(
            shown.contains("ceded by") && shown.contains("shop/old") && shown.contains("shop/new"),
            "{what}: {shown}"
        );
    }
    let listed = operate(&["list"], &roll_out.network);
    assert!(String::from_utf8(listed.stdout).unwrap().contains("ceded by shop/old"));

    // Undone: the first ReplicaSet counts as the newest, and the new pod ends.
    roll_out.site.server.set_revision("shop", &roll_out.first, 3);
    roll_out.end("new");
    roll_out.holds("old");
    roll_out.check("old").success();
    let stranger = roll_out.site.fixed_pod("stranger", ADDRESS);
    roll_out.refused(&add(&roll_out.network, "c-stranger", "stranger", &stranger), "old", &["still exists"]);
    roll_out.end("old");
    assert!(held(&roll_out.network).is_empty());
    roll_out.is_sound();
}

#[test]
fn a_borrowed_address_is_not_lent_on() {
    let roll_out = RollOut::new(Some("rolling-update"));
    roll_out.start("old", &roll_out.first).success();
    roll_out.start("new", &roll_out.second).success();
    let third = roll_out.site.server.replica_set("shop", "web-ccc", ("web", &roll_out.deployment), 3);
    roll_out.refused(&roll_out.start("newest", &third), "new", &["shop/old", "gets it back"]);
    // The borrower is gone without a DEL, and the lender lives: it cedes the address again, and has it back from the next.
    roll_out.site.server.delete_pod("shop", "new");
    let uid = roll_out.site.server.uid("pods", "shop", "newest");
    assert_eq!(add(&roll_out.network, "c-newest", "newest", &uid).addresses(), [ADDRESS]);
    del(&roll_out.network, "c-new");
    roll_out.holds("newest");
    roll_out.end("newest");
    roll_out.holds("old");
    roll_out.is_sound();
}

#[test]
fn the_address_of_a_borrower_that_is_gone_is_its_lenders() {
    let roll_out = RollOut::new(Some("rolling-update"));
    roll_out.start("old", &roll_out.first).success();
    roll_out.start("new", &roll_out.second).success();
    roll_out.site.server.delete_pod("shop", "new");
    let stranger = roll_out.site.fixed_pod("stranger", ADDRESS);
    let ask = || add(&roll_out.network, "c-stranger", "stranger", &stranger);
    roll_out.refused(&ask(), "new", &["shop/old", "still exists"]);
    // Both gone without a DEL.
    roll_out.site.server.delete_pod("shop", "old");
    assert_eq!(ask().addresses(), [ADDRESS]);
    del(&roll_out.network, "c-old");
    del(&roll_out.network, "c-new");
    roll_out.holds("stranger");
    roll_out.is_sound();
}

/// What a pod's author can write proves nothing.
#[test]
fn forged_owners_labels_and_names_get_nothing() {
    let roll_out = RollOut::new(Some("rolling-update"));
    let RollOut { site, first, second, .. } = &roll_out;
    roll_out.start("web-aaa-0", first).success();
    let other = site.server.deployment("shop", "other");
    let foreign = site.server.replica_set("shop", "web-other", ("web", &other), 9);
    let orphan = ReplicaSet { name: "web-zzz".into(), uid: second.uid.clone() };
    let forged = [
        ("a label", roll_out.pod("web-bbb-1").labelled("pod-template-hash", "bbb")),
        (
            "an owner of that name",
            roll_out.pod("web-bbb-2").labelled("pod-template-hash", "bbb").owned_by("ReplicaSet", &second.name),
        ),
        ("another Deployment's", roll_out.pod("web-bbb-3").of(&foreign)),
        ("no such ReplicaSet", roll_out.pod("web-bbb-4").of(&orphan)),
        ("the Deployment itself", roll_out.pod("web-bbb-5").owned_by_object("Deployment", "web", &roll_out.deployment)),
    ];
    for (nth, (what, pod)) in forged.into_iter().enumerate() {
        let uid = pod.create();
        let answer = add(&roll_out.network, &format!("c{nth}"), &format!("web-bbb-{}", nth + 1), &uid);
        assert_eq!(answer.status, Some(1), "{what}");
        roll_out.refused(&answer, "web-aaa-0", &["still exists"]);
    }
}

#[test]
fn without_the_right_to_look_at_replica_sets_the_pod_stays() {
    let mut roll_out = RollOut::new(Some("rolling-update"));
    let token = roll_out.site.server.user("system:serviceaccount:kube-system:limited", &[PODS]);
    roll_out.network["ipam"]["kubeConfig"] = json!(roll_out.site.server.kubeconfig(&token));
    roll_out.start("old", &roll_out.first).success();
    let rule = r#"{apiGroups: ["apps"], resources: ["replicasets"], verbs: ["get"]}"#;
    roll_out.refused(&roll_out.start("new", &roll_out.second), "old", &["refuses to get replicasets", rule]);
}

/// Drained, and created again on another node before the first one's DEL: it has to wait like everybody else.
#[test]
fn a_pod_of_the_same_revision_waits_for_the_one_it_replaces() {
    let roll_out = RollOut::new(Some("rolling-update"));
    roll_out.start("old", &roll_out.first).success();
    roll_out.site.server.terminate_pod("shop", "old");
    roll_out.refused(&roll_out.start("next", &roll_out.first), "old", &["being deleted"]);
    del(&roll_out.network, "c-old");
    let uid = roll_out.site.server.uid("pods", "shop", "next");
    assert_eq!(add(&roll_out.network, "c-next", "next", &uid).addresses(), [ADDRESS]);
}
