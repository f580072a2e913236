//! A node that adds and deletes, one attachment after the other.
//!
//! Most calls run the verbs of the program inside of this process, from the configuration's bytes on, with a connection and a
//! thread of their own: as a process does, for a third of its price. One in sixteen is a whole process of the built program;
//! of these some are killed at any moment, and some have a clock that is wrong.

use std::ffi::OsString;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use cni::{Fail, NetConf, Success};
use kube_ipam::config::{Base, Network};
use kube_ipam::verbs::{self, Deadline, Waited};
use kube_ipam_tests::history::{Event, What};
use kube_ipam_tests::program::wait;
use kube_ipam_tests::{Call, clock};
use serde_json::{Value, json};
use store::Store;
use tokio::runtime::{Builder, Runtime};

use super::Scene;
use crate::draw::Draw;

/// How often a call is repeated after the end. Each takes ten seconds at most.
const PATIENCE: u32 = 6;

/// The code of a range without a free address.
const EXHAUSTED: u32 = 101;

pub(super) struct Worker<'a> {
    nth: usize,
    draw: Draw,
    scene: &'a Scene,
    runtime: Runtime,
    network: Value,
    /// Whose DEL was never made: garbage.
    left: Vec<String>,
    /// Whether the attachment at hand was added by a wrong clock. To a GC of today, what was claimed in the future is not
    /// garbage yet.
    is_of_another_time: bool,
}

/// How a call ended.
enum Answered {
    /// The address, of an ADD.
    Well(Option<String>),
    /// With this code; 0 stands for a process that was killed.
    Badly(u32),
}

impl<'a> Worker<'a> {
    pub(super) fn new(nth: usize, seed: u64, scene: &'a Scene) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let network = scene.networks[nth].clone();
        let draw = Draw(seed ^ ((nth as u64 + 1) << 32));
        Self { nth, draw, scene, runtime, network, left: Vec::new(), is_of_another_time: false }
    }

    /// Whether its containers are of a pod, so that the API server is asked about it.
    pub(super) fn has_a_pod(nth: usize) -> bool {
        nth.is_multiple_of(8)
    }

    pub(super) fn work(mut self) {
        let mut nth = 0;
        while !self.is_over() {
            let attachment = format!("w{}-{nth}", self.nth);
            nth += 1;
            self.is_of_another_time = false;
            let added = self.add(&attachment);
            if self.draw.one_in(7) {
                self.add(&attachment);
            }
            if added == What::Exhausted {
                thread::sleep(Duration::from_millis(self.draw.below(200)));
            }
            // A pod's next container takes over what the one before has left, which the judge knows nothing of.
            if !Self::has_a_pod(self.nth) && !self.is_of_another_time && self.draw.one_in(12) {
                self.left.push(attachment);
            } else {
                self.release(&attachment);
            }
            if self.left.len() > 1 {
                self.collect();
            }
        }
        for _ in 0..PATIENCE {
            if !self.left.is_empty() {
                self.collect();
            }
        }
    }

    fn is_over(&self) -> bool {
        self.scene.over.load(Ordering::Relaxed)
    }

    fn add(&mut self, attachment: &str) -> What {
        self.tell("ADD", attachment, |answered| match answered {
            Answered::Well(Some(address)) => What::Added(address),
            Answered::Badly(EXHAUSTED) => What::Exhausted,
            _ => What::AddFailed,
        })
    }

    /// A runtime repeats a DEL until it succeeds; once all is over, a few times.
    fn release(&mut self, attachment: &str) {
        let mut late = 0;
        while late < PATIENCE {
            late += u32::from(self.is_over());
            let what = self.tell("DEL", attachment, |answered| match answered {
                Answered::Well(_) => What::Deleted,
                Answered::Badly(_) => What::DelFailed,
            });
            if what == What::Deleted {
                return;
            }
        }
    }

    /// GC, after which the garbage is gone: to the judge, a DEL of each.
    fn collect(&mut self) {
        let from = self.scene.began.elapsed();
        let collected = self.call("GC", "");
        let until = self.scene.began.elapsed();
        let is_done = matches!(collected, Answered::Well(_));
        for attachment in self.left.clone() {
            let what = if is_done { What::Deleted } else { What::DelFailed };
            self.scene.events.lock().unwrap().push(Event { start: from, end: until, attachment, what });
        }
        if is_done {
            self.left.clear();
        }
    }

    fn tell(&mut self, verb: &str, attachment: &str, meaning: impl FnOnce(Answered) -> What) -> What {
        let start = self.scene.began.elapsed();
        let answered = self.call(verb, attachment);
        let end = self.scene.began.elapsed();
        let what = meaning(answered);
        let event = Event { start, end, attachment: attachment.to_owned(), what: what.clone() };
        self.scene.events.lock().unwrap().push(event);
        what
    }

    fn call(&mut self, verb: &str, container: &str) -> Answered {
        let answered =
            if self.draw.one_in(16) { self.by_process(verb, container) } else { self.inside(verb, container) };
        match &answered {
            Answered::Well(_) => self.scene.count(verb),
            Answered::Badly(0) => self.scene.count(&format!("{verb} killed")),
            Answered::Badly(code) => self.scene.count(&format!("{verb} failed with {code}")),
        }
        answered
    }

    /// A whole process of the built program.
    fn by_process(&mut self, verb: &str, container: &str) -> Answered {
        self.scene.count("whole processes");
        let mut call = Call::new(verb, container, &self.configuration(verb));
        if let Some(args) = self.args() {
            call = call.with("CNI_ARGS", &args);
        }
        let seconds = self.scene.clock.load(Ordering::Relaxed);
        let answer = if seconds != 0 && verb != "GC" && self.draw.one_in(2) {
            self.scene.count("wrong clocks");
            self.is_of_another_time = true;
            clock::shifted(&call, seconds)
        } else {
            let mut child = call.start();
            if self.draw.one_in(6) {
                thread::sleep(Duration::from_micros(self.draw.below(8_000)));
                let _ = child.kill();
            }
            Some(wait(child))
        };
        let Some(answer) = answer else { return Answered::Badly(0) };
        match answer.status {
            Some(0) if verb == "ADD" => Answered::Well(answer.addresses().pop()),
            Some(0) => Answered::Well(None),
            Some(_) => Answered::Badly(answer.failure().0.try_into().unwrap()),
            None => Answered::Badly(0),
        }
    }

    /// The verbs of the program, from the bytes on that a runtime would write.
    fn inside(&mut self, verb: &str, container: &str) -> Answered {
        let configuration = self.configuration(verb).to_string();
        let args = self.args();
        let served = self.runtime.block_on(serve(verb, container, args.as_deref(), configuration.as_bytes()));
        match served {
            Ok(success) => Answered::Well(success.map(|success| success.ips[0].address.to_string())),
            Err(error) => Answered::Badly(error.code()),
        }
    }

    fn configuration(&self, verb: &str) -> Value {
        let mut network = self.network.clone();
        if verb == "GC" {
            network["cni.dev/valid-attachments"] = json!([]);
        }
        network
    }

    fn args(&self) -> Option<String> {
        let (uid, nth) = (self.scene.pods.get(&self.nth)?, self.nth);
        Some(format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=node-{nth};K8S_POD_UID={uid}"))
    }
}

/// As `plugin` serves a call, without the log.
async fn serve(
    verb: &str,
    container: &str,
    args: Option<&str>,
    configuration: &[u8],
) -> Result<Option<Success>, verbs::Error> {
    let variable = |name: &str| match name {
        "CNI_COMMAND" => Some(OsString::from(verb)),
        "CNI_CONTAINERID" => Some(container.into()),
        "CNI_NETNS" => Some("/var/run/netns/absent".into()),
        "CNI_IFNAME" => Some("eth0".into()),
        "CNI_PATH" => Some("/usr/lib/cni".into()),
        "CNI_ARGS" => args.map(OsString::from),
        _ => None,
    };
    let call = cni::Call::read(variable)?.expect("there is a command");
    let netconf = NetConf::parse(configuration)?;
    let base = Base::read(&netconf)?;
    let deadline = Deadline::after(base.timeout);
    let store = Store::configured(&base.store, &base.domain, Some(deadline.at())).with_registry(base.domain_given);
    let work = async {
        match &call {
            cni::Call::Add(container, args) => {
                let network = Network::read(&netconf, args)?;
                verbs::add(container, &base, &network, &store, &deadline).await.map(Some)
            }
            cni::Call::Del(container) => {
                verbs::del(&container.attachment(&base.network), &base, &store, &deadline).await.map(|()| None)
            }
            _ => verbs::gc(&base, &netconf.valid_attachments()?, &store, &deadline).await.map(|()| None),
        }
    };
    deadline.bound(Waited::Store, work).await
}
