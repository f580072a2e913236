//! Who does what at once. Each scenario is small, so that all of its schedules can be gone through.

mod books;
mod churn;
mod clusters;
mod crowd;
mod quota;
mod rollout;
mod sticky;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use crate::scene::Site;
use crate::sim::{Fault, Process};

/// A piece of a scenario that waits for answers.
pub type Piece = Pin<Box<dyn Future<Output = ()>>>;

/// A scenario, and what may go wrong in it.
pub struct Scenario {
    pub name: &'static str,
    /// For a table.
    pub what: &'static str,
    pub possible: Vec<Fault>,
    /// What was before: nothing goes wrong there.
    pub begin: Box<dyn Fn() -> Piece>,
    /// Who does what, all at once.
    pub processes: Box<dyn Fn() -> Vec<Process>>,
    /// What must hold then.
    pub end: Box<dyn Fn() -> Piece>,
}

/// Makes a scenario. Only on a thread with an event loop, for the clients of API servers.
type Maker = fn() -> Scenario;

/// All of which every schedule can be gone through.
pub const ALL: [(&str, Maker); 9] = [
    ("churn", churn::scenario),
    ("restart", churn::restart),
    ("rollout", rollout::scenario),
    ("fixed", rollout::succession),
    ("clusters", clusters::scenario),
    ("quota", quota::scenario),
    ("sticky", sticky::scenario),
    ("books", books::scenario),
    ("birth", books::birth),
];

/// For schedules at random.
pub const CROWD: (&str, Maker) = ("crowd", crowd::scenario);

/// The scenario of this name.
pub fn named(name: &str) -> Option<Scenario> {
    ALL.iter().chain([&CROWD]).find(|(known, _)| *known == name).map(|(_, make)| make())
}

/// A cast of nodes and containers, made again for every schedule.
struct Cast<T>(Rc<T>);

impl<T: 'static> Cast<T> {
    fn new(cast: T) -> Self {
        Self(Rc::new(cast))
    }

    /// A part of the scenario that this cast plays.
    fn piece<F: Future<Output = ()> + 'static>(&self, play: fn(Rc<T>) -> F) -> Box<dyn Fn() -> Piece> {
        let cast = self.0.clone();
        Box::new(move || Box::pin(play(cast.clone())))
    }

    /// Processes that run at once.
    fn processes(&self, plays: Vec<Play<T>>) -> Box<dyn Fn() -> Vec<Process>> {
        let cast = self.0.clone();
        Box::new(move || plays.iter().map(|play| play(cast.clone())).collect())
    }
}

/// What one process does.
type Play<T> = Box<dyn Fn(Rc<T>) -> Process>;

fn play<T: 'static, F: Future<Output = ()> + 'static>(play: fn(Rc<T>) -> F) -> Play<T> {
    Box::new(move |cast| Box::pin(play(cast)))
}

/// A site on `node-1` with this section and the default policy.
fn site(ipam: serde_json::Value) -> Site {
    Site::new("blue", "node-1", ipam, None)
}

/// The section of a network with the addresses 10.0.0.`first` to 10.0.0.`last`.
fn ranges(first: u8, last: u8) -> serde_json::Value {
    let range = serde_json::json!({
        "subnet": "10.0.0.0/24",
        "rangeStart": format!("10.0.0.{first}"),
        "rangeEnd": format!("10.0.0.{last}"),
    });
    serde_json::json!({"ranges": [[range]]})
}

/// From here on these are the addresses that pods may get.
fn offer(first: u8, last: u8) {
    crate::sim::with(|state| {
        state.judge.offered = (first..=last).map(|last| std::net::IpAddr::from([10, 0, 0, last])).collect();
    });
}
