//! What is done to one pod or node in a round. The deeds of a round run at once, those of one pod one after the other.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kube_ipam_tests::Answer;
use kube_ipam_tests::program::wait;
use serde_json::json;

use super::scene::{Pod, Scene};

#[derive(Debug)]
pub(crate) enum Deed {
    /// Nothing, for a round.
    Rest(Pod),
    /// ADD of a new sandbox. A sandbox that died before gets its DEL afterwards, if that is not lost.
    Start {
        pod: Pod,
        late_del: bool,
    },
    /// ADD of a new sandbox whose process is killed after so many milliseconds; then a DEL, a second ADD, or nothing.
    Die {
        pod: Pod,
        after: u64,
        then: Then,
    },
    /// A new sandbox in the place of the one that runs: DEL and ADD, as a runtime does it.
    Replace(Pod),
    /// ADD of the same sandbox again: it is told the same.
    Repeat(Pod),
    /// CHECK: it holds what it was told, or ceded it.
    Check(Pod),
    /// Deleted in order: marked, stopped, DEL, gone.
    Stop(Pod),
    /// Deleted by force: gone before its DEL.
    StopLate(Pod),
    /// Gone, and its DEL never comes.
    Lose(Pod),
    /// Its containers end; its DEL never comes.
    Finish(Pod),
    Collect {
        side: usize,
        node: usize,
    },
    Reclaim {
        side: usize,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Del,
    Add,
    Nothing,
}

impl Scene {
    /// Do all of this, on so many threads. The pods there are afterwards.
    pub(crate) fn rage(&self, deeds: Vec<Deed>, threads: usize) -> Vec<Pod> {
        let queue = Mutex::new(VecDeque::from(deeds));
        let mut pods = thread::scope(|scope| {
            let work = || {
                let mut pods = Vec::new();
                loop {
                    let Some(deed) = queue.lock().unwrap().pop_front() else { return pods };
                    pods.extend(self.act(deed));
                }
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<Pod>>()
        });
        // So that the next plan depends on the seed alone, as far as it can.
        pods.sort_by(|one, other| (one.side, &one.name).cmp(&(other.side, &other.name)));
        pods
    }

    /// The pod, where it is still there.
    fn act(&self, deed: Deed) -> Option<Pod> {
        match deed {
            Deed::Rest(pod) => Some(pod),
            Deed::Start { pod, late_del } => Some(self.start(pod, late_del)),
            Deed::Die { pod, after, then } => Some(self.die(pod, after, then)),
            Deed::Replace(mut pod) => {
                pod.died = self.end_sandbox(&mut pod);
                self.release_the_dead(&mut pod);
                Some(self.start(pod, false))
            }
            Deed::Repeat(pod) => Some(self.repeat(pod)),
            Deed::Check(pod) => Some(self.check(pod)),
            Deed::Stop(pod) => self.stop(pod),
            Deed::StopLate(pod) => self.stop_late(pod),
            Deed::Lose(mut pod) => {
                self.counts.add("lost DEL", 1);
                self.end_sandbox(&mut pod);
                self.sides[pod.side].server.delete_pod("shop", &pod.name);
                None
            }
            Deed::Finish(mut pod) => {
                self.counts.add("lost DEL", 1);
                self.end_sandbox(&mut pod);
                self.sides[pod.side].server.set_phase("shop", &pod.name, "Failed");
                thread::sleep(Duration::from_millis(50));
                self.sides[pod.side].server.delete_pod("shop", &pod.name);
                None
            }
            Deed::Collect { side, node } => {
                self.collect(side, node);
                None
            }
            Deed::Reclaim { side } => {
                self.reclaim(side);
                None
            }
        }
    }

    fn start(&self, mut pod: Pod, late_del: bool) -> Pod {
        let container = new_container(&pod);
        self.add(&mut pod, &container);
        if late_del {
            self.release_the_dead(&mut pod);
        }
        pod.died = None;
        pod
    }

    /// ADD; where it fails, DEL, as a runtime does it.
    fn add(&self, pod: &mut Pod, container: &str) {
        let adding = self.sides[pod.side].collecting[pod.node].read().unwrap();
        let answer = self.call("ADD", pod, container).run();
        self.hear(pod, container, &answer);
        drop(adding);
        if pod.container.is_none() {
            self.del(pod, container);
        }
    }

    /// What comes of an ADD.
    fn hear(&self, pod: &mut Pod, container: &str, answer: &Answer) {
        if answer.status == Some(0) {
            let handed_over = self.judge.told(pod, container, &answer.addresses()[0]);
            self.counts.add("handed over", usize::from(handed_over));
            pod.container = Some(container.to_owned());
            return;
        }
        let (code, text) = answer.failure();
        assert!([101, 102].contains(&code), "ADD of {pod:?}: {code} {text}");
        self.counts.add("refused", 1);
    }

    fn die(&self, mut pod: Pod, after: u64, then: Then) -> Pod {
        let container = new_container(&pod);
        let adding = self.sides[pod.side].collecting[pod.node].read().unwrap();
        let mut child = self.call("ADD", &pod, &container).start();
        thread::sleep(Duration::from_millis(after));
        child.kill().unwrap();
        let answer = wait(child);
        if answer.status.is_some() {
            self.hear(&mut pod, &container, &answer);
        } else {
            self.counts.add("killed", 1);
            self.judge.killed(&pod, &container);
        }
        drop(adding);
        match then {
            _ if pod.container.is_some() => {}
            Then::Del => self.del(&pod, &container),
            Then::Add => self.add(&mut pod, &container),
            Then::Nothing => pod.died = Some(container),
        }
        pod
    }

    fn repeat(&self, pod: Pod) -> Pod {
        let container = pod.container.as_ref().unwrap();
        let answer = self.call("ADD", &pod, container).run();
        if answer.status == Some(0) {
            assert_eq!(Some(&answer.addresses()[0]), self.judge.address_of(container).as_ref(), "{pod:?}");
        } else {
            let (code, text) = answer.failure();
            assert!(pod.cedes && code == 102 && text.contains("comes back"), "ADD of {pod:?}: {code} {text}");
        }
        pod
    }

    fn check(&self, pod: Pod) -> Pod {
        let container = pod.container.as_ref().unwrap();
        let address = self.judge.address_of(container).unwrap();
        let mut network = self.network(pod.side, pod.node);
        let ips = json!([{"address": format!("{address}/27")}]);
        network["prevResult"] = json!({"cniVersion": "1.1.0", "ips": ips});
        let answer = self.call_on("CHECK", pod.side, pod.node, container, &network).run();
        if answer.status != Some(0) {
            let (code, text) = answer.failure();
            assert!(pod.cedes && code == 106 && text.contains("comes back"), "CHECK of {pod:?}: {code} {text}");
        }
        pod
    }

    fn stop(&self, mut pod: Pod) -> Option<Pod> {
        let server = &self.sides[pod.side].server;
        server.terminate_pod("shop", &pod.name);
        let stopped = self.end_sandbox(&mut pod);
        if let Some(container) = stopped {
            self.del(&pod, &container);
        }
        self.release_the_dead(&mut pod);
        server.delete_pod("shop", &pod.name);
        None
    }

    fn stop_late(&self, mut pod: Pod) -> Option<Pod> {
        let stopped = self.end_sandbox(&mut pod);
        self.sides[pod.side].server.delete_pod("shop", &pod.name);
        thread::sleep(Duration::from_millis(60));
        if let Some(container) = stopped {
            self.del(&pod, &container);
        }
        None
    }

    /// From here on its sandbox uses nothing. Which one that was.
    pub(crate) fn end_sandbox(&self, pod: &mut Pod) -> Option<String> {
        let container = pod.container.take()?;
        self.judge.ended(pod, &container);
        Some(container)
    }

    fn release_the_dead(&self, pod: &mut Pod) {
        if let Some(container) = pod.died.take() {
            self.del(pod, &container);
        }
    }

    fn del(&self, pod: &Pod, container: &str) {
        self.call("DEL", pod, container).run().success();
        self.judge.released(container);
    }

    /// GC of a node whose runtime knows what lives there.
    pub(crate) fn collect(&self, side: usize, node: usize) {
        let alone = self.sides[side].collecting[node].write().unwrap();
        let mut network = self.network(side, node);
        let living = self.judge.living_on(side, node).into_iter();
        let valid = living.map(|container| json!({"containerID": container, "ifname": "eth0"}));
        network["cni.dev/valid-attachments"] = valid.collect();
        self.call_on("GC", side, node, "", &network).run().success();
        drop(alone);
    }
}

fn new_container(pod: &Pod) -> String {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    format!("{}-{}-{}", super::scene::SIDES[pod.side], pod.name, MADE.fetch_add(1, Ordering::Relaxed))
}
