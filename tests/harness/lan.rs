//! A network of namespaces on one bridge. Each can be cut off from the others and still be reached from here.

use std::sync::atomic::{AtomicU32, Ordering};
use untested::untested;

use crate::namespace::{Namespace, ip};

/// Some namespaces, each with an address. Removed when it goes out of scope.
#[derive(Debug)]
pub struct Lan {
    bridge: String,
    /// The first three numbers of every address.
    prefix: String,
    places: Vec<Namespace>,
}

impl Lan {
    /// `None`, with a word, where namespaces cannot be created (not root); in CI that is a failure.
    pub fn create(places: usize) -> Option<Self> {
        static LANS: AtomicU32 = AtomicU32::new(0);
        let nth = std::process::id() * 7 + LANS.fetch_add(1, Ordering::Relaxed);
        let (bridge, prefix) = (format!("kib{:x}", nth % 0xff_ffff), format!("10.213.{}", nth % 250));
        let mut lan = Self { bridge, prefix, places: Vec::new() };
        let Self { bridge, prefix, .. } = &lan;
        let ready = ip(&["link", "add", bridge, "type", "bridge"])
            // So that a later run knows whose it was, should this one be killed.
            && ip(&["link", "set", bridge, "alias", &format!("kube-ipam-{}", std::process::id())])
            && ip(&["address", "add", &format!("{prefix}.1/24"), "dev", bridge])
            && ip(&["link", "set", bridge, "up"]);
        if !ready {
            untested("isolation", "a bridge cannot be created: it needs root");
            return None;
        }
        if !(0..places).all(|place| lan.join(place).is_some()) {
            untested("isolation", "places on a bridge cannot be created");
            return None;
        }
        Some(lan)
    }

    fn join(&mut self, place: usize) -> Option<()> {
        let namespace = Namespace::create(&format!("{}-{place}", self.bridge))?;
        let (name, plug) = (namespace.name(), format!("{}-{place}", self.bridge));
        let address = format!("{}/24", self.address(place));
        let ready = ip(&["link", "add", &plug, "type", "veth", "peer", "name", "eth0", "netns", name])
            && ip(&["link", "set", &plug, "master", &self.bridge, "up"])
            && ip(&["-n", name, "address", "add", &address, "dev", "eth0"])
            && ip(&["-n", name, "link", "set", "eth0", "up"])
            && ip(&["-n", name, "link", "set", "lo", "up"]);
        self.places.push(namespace);
        ready.then_some(())
    }

    /// Where a place is reached.
    pub fn address(&self, place: usize) -> String {
        format!("{}.{}", self.prefix, place + 2)
    }

    /// Where this machine itself is reached from every place.
    pub fn hub(&self) -> String {
        format!("{}.1", self.prefix)
    }

    /// Its namespace.
    pub fn namespace(&self, place: usize) -> &Namespace {
        &self.places[place]
    }

    /// Let nothing pass between a place and the others.
    pub fn isolate(&self, place: usize) {
        self.route(place, "add");
    }

    /// Let everything pass again.
    pub fn rejoin(&self, place: usize) {
        self.route(place, "del");
    }

    /// Let a place hear nothing of the others, who hear it.
    pub fn deafen(&self, place: usize) {
        self.filter(place, "-A");
    }

    /// Let it hear them again.
    pub fn undeafen(&self, place: usize) {
        self.filter(place, "-D");
    }

    /// Let nothing pass between a place and this machine itself, where clients are.
    pub fn hide(&self, place: usize) {
        assert!(
            ip(&["-n", self.places[place].name(), "route", "add", "blackhole", &self.hub()]),
            "cannot hide {place}"
        );
    }

    /// Let clients reach it again.
    pub fn show(&self, place: usize) {
        assert!(
            ip(&["-n", self.places[place].name(), "route", "del", "blackhole", &self.hub()]),
            "cannot show {place}"
        );
    }

    /// Let so many kilobits a second pass from a place to everybody; what has waited for half a second is dropped.
    pub fn slow_down(&self, place: usize, kilobits: u32) {
        let rate = format!("{kilobits}kbit");
        self.inside(
            place,
            &["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", &rate, "burst", "4kb", "latency", "500ms"],
        );
    }

    /// Let it be as fast as it can.
    pub fn speed_up(&self, place: usize) {
        self.inside(place, &["tc", "qdisc", "del", "dev", "eth0", "root"]);
    }

    fn filter(&self, place: usize, verb: &str) {
        for other in (0..self.places.len()).filter(|other| *other != place) {
            self.inside(place, &["iptables", "-w", verb, "INPUT", "-s", &self.address(other), "-j", "DROP"]);
        }
    }

    fn inside(&self, place: usize, command: &[&str]) {
        assert!(self.places[place].run(command).is_some(), "{command:?} failed in {}", self.places[place].name());
    }

    fn route(&self, place: usize, verb: &str) {
        for other in (0..self.places.len()).filter(|other| *other != place) {
            let changed = ip(&["-n", self.places[place].name(), "route", verb, "blackhole", &self.address(other)]);
            assert!(changed, "cannot {verb} the route from {place} to {other}");
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        ip(&["link", "del", &self.bridge]);
    }
}
