//! What happens next: who goes on, and what comes of its question.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Asked, Fault, Late, State, Told, Waiting, at_once, clock};
use store::StoreError;
use store::ordered::{Change, Commit, OrderedMap, Write};

/// Who goes on.
pub(super) enum Next {
    Process(usize),
    Late(usize),
    Done,
}

impl State {
    fn left(&self) -> u32 {
        self.bounds.cost.saturating_sub(self.spent)
    }

    pub(super) fn sleep(&mut self, process: usize) {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.push(Waiting { id, process, asked: Asked::Sleep, told: None });
    }

    /// Choose who goes on and what comes of its question.
    pub(super) fn next(&mut self) -> Next {
        self.steps += 1;
        let Some(first) = self.first_in_line() else { return Next::Done };
        // Somebody who has come to a pause is left without a price.
        let is_free = self.bounds.all_orders || !self.is_busy(self.running);
        let mut candidates = vec![first];
        if is_free || self.left() > 0 {
            candidates.extend((0..self.waiting.len()).filter(|&nth| nth != first));
        }
        let most = candidates.len() + self.late.len();
        let picked = self.choices.choose(most);
        if picked >= candidates.len() {
            return Next::Late(picked - candidates.len());
        }
        let at = candidates[picked];
        let process = self.waiting[at].process;
        if !is_free && process != self.running {
            self.spent += 1;
        }
        self.grant(at);
        Next::Process(process)
    }

    /// The one that goes on without a price: the process that ran last, unless it is at a pause.
    fn first_in_line(&self) -> Option<usize> {
        let own = self.waiting.iter().position(|waiting| waiting.process == self.running);
        match own {
            Some(own) => Some(own),
            None => (!self.waiting.is_empty()).then_some(0),
        }
    }

    fn is_busy(&self, process: usize) -> bool {
        self.waiting
            .iter()
            .any(|waiting| waiting.process == process && !matches!(waiting.asked, Asked::Pause | Asked::Sleep))
    }

    /// Choose what comes of a question.
    fn grant(&mut self, at: usize) {
        let asked = self.waiting[at].asked.clone();
        let (process, id) = (self.waiting[at].process, self.waiting[at].id);
        let faults = self.faults_of(&asked);
        // At random, a fault is a rare thing, however many kinds there are.
        let picked = if self.bounds.all_orders && !faults.is_empty() && self.choices.choose(8) != 0 {
            0
        } else {
            self.choices.choose(faults.len() + 1)
        };
        let fault = picked.checked_sub(1).map(|nth| faults[nth]);
        if let Some(fault) = fault {
            self.spent += 1;
            self.faults += 1;
            self.disturbed.insert(process);
            self.say(|| format!("{process}: {} ── {fault:?}", asked.describe()));
        } else {
            self.say(|| format!("{process}: {}", asked.describe()));
        }
        let told = self.told(&asked, fault, process);
        // Nobody takes this answer: its process goes on with its event loop.
        if matches!(asked, Asked::Sleep) {
            self.waiting.retain(|waiting| waiting.id != id);
            return;
        }
        if let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.id == id) {
            waiting.told = told;
        }
    }

    /// What may go wrong with a question. Nobody is disturbed beyond the bounds.
    fn faults_of(&self, asked: &Asked) -> Vec<Fault> {
        if self.left() == 0 && !self.bounds.all_orders || self.faults >= self.bounds.faults {
            return Vec::new();
        }
        let possible: &[Fault] = match asked {
            Asked::View => &[Fault::StaleView, Fault::Unheard, Fault::Compacted, Fault::Death],
            Asked::Commit(changes) if changes.iter().any(Change::only_deletes) => {
                &[Fault::Unsaid, Fault::Unheard, Fault::Later, Fault::Astray, Fault::TooLate, Fault::Death]
            }
            Asked::Commit(_) => {
                &[Fault::Unsaid, Fault::Unheard, Fault::Later, Fault::Astray, Fault::Full, Fault::TooLate, Fault::Death]
            }
            Asked::Confirm(_) => &[Fault::Unheard, Fault::Death],
            Asked::Get(..) => &[Fault::Unheard, Fault::StaleServer, Fault::Forbidden, Fault::Death],
            Asked::Pause | Asked::Sleep => &[],
        };
        let mut possible: Vec<Fault> = possible.iter().copied().filter(|fault| self.possible.contains(fault)).collect();
        // One lie: a second look is there to find it out.
        if self.has_lied {
            possible.retain(|fault| *fault != Fault::StaleServer);
        }
        if self.past.is_empty() {
            possible.retain(|fault| *fault != Fault::StaleView);
        }
        possible
    }

    fn told(&mut self, asked: &Asked, fault: Option<Fault>, process: usize) -> Option<Told> {
        let unknown = || Some(Told::StoreError(StoreError::OutcomeUnknown { failures: Vec::new() }));
        match (fault, asked) {
            (None, asked) => Some(self.answer(asked)),
            (Some(Fault::StaleView), _) => {
                let back = self.choices.choose(self.past.len().min(3));
                let view = self.past[self.past.len() - 1 - back].clone();
                Some(Told::View(view, false))
            }
            (Some(Fault::Compacted), _) => at_once(self.memory.view()).ok().map(|view| Told::View(view, true)),
            (Some(Fault::Unheard), Asked::Commit(_)) => unknown(),
            (Some(Fault::Unheard), Asked::Get(..)) => Some(Told::Unreachable),
            (Some(Fault::Unheard), _) => Some(Told::StoreError(StoreError::Unreachable { failures: Vec::new() })),
            (Some(Fault::Unsaid), asked) => {
                self.answer(asked);
                unknown()
            }
            (Some(fault @ (Fault::Later | Fault::Astray)), Asked::Commit(changes)) => {
                self.late.push(Late { changes: changes.clone(), is_astray: fault == Fault::Astray });
                if fault == Fault::Astray {
                    self.judge.is_anything_astray = true;
                }
                unknown()
            }
            (Some(Fault::Full), _) => Some(Told::StoreError(StoreError::Full { place: "the simulation".to_owned() })),
            (Some(Fault::TooLate), _) => Some(Told::StoreError(StoreError::TooLate)),
            (Some(Fault::StaleServer), Asked::Get(server, path)) => {
                self.has_lied = true;
                let server = &self.servers[*server];
                Some(get(server.before.as_ref().unwrap_or(&server.objects), path))
            }
            (Some(Fault::Forbidden), _) => {
                Some(Told::Get(403, r#"{"kind":"Status","code":403,"reason":"Forbidden","message":"no"}"#.to_owned()))
            }
            // Whatever it asked may have got through, or may still.
            (Some(Fault::Death), asked) => {
                self.killed = Some(process);
                if let Asked::Commit(changes) = asked {
                    match self.choices.choose(3) {
                        0 => {}
                        1 => drop(self.answer(asked)),
                        _ => self.late.push(Late { changes: changes.clone(), is_astray: false }),
                    }
                }
                None
            }
            (Some(_), asked) => Some(self.answer(asked)),
        }
    }

    pub(super) fn answer(&mut self, asked: &Asked) -> Told {
        match asked {
            Asked::View => at_once(self.memory.view()).map_or(Told::Unreachable, |view| Told::View(view, false)),
            Asked::Commit(changes) => Told::Commit(self.commit(changes)),
            Asked::Confirm(key) => {
                // Whatever had reached the store before is applied before this is answered.
                let (landing, astray) = std::mem::take(&mut self.late).into_iter().partition(|late| !late.is_astray);
                self.late = astray;
                let landing: Vec<Late> = landing;
                for late in landing {
                    self.commit(&late.changes);
                }
                Told::Confirm(at_once(self.memory.confirm_absent(key)).unwrap_or_default())
            }
            Asked::Get(server, path) => get(&self.servers[*server].objects, path),
            Asked::Sleep => {
                clock::advance(100);
                Told::Nothing
            }
            Asked::Pause => Told::Nothing,
        }
    }

    fn commit(&mut self, changes: &[Change]) -> Commit {
        let before = at_once(self.memory.view());
        let Ok(committed) = at_once(self.memory.commit(changes)) else { return Commit::Lost };
        if let (Commit::Done(nth), Ok(before)) = (committed, before) {
            self.past.push(before);
            let writes = changes[nth].writes();
            self.say(|| format!("   {}", describe_writes(writes)));
            if let Some(what) = self.judge.changed(writes, &self.memory) {
                self.say(|| format!("BROKEN: {what}"));
                self.broken = self.broken.take().or(Some(what));
            }
        }
        committed
    }

    /// A commit that was late is applied now.
    pub(super) fn land(&mut self, nth: usize) {
        let late = self.late.remove(nth);
        self.say(|| "a commit that was late is applied".to_owned());
        self.commit(&late.changes);
    }

    /// All commits that are still late are applied, or, where they are astray, not for sure.
    pub(super) fn land_all(&mut self) {
        while !self.late.is_empty() {
            if self.late[0].is_astray && self.choices.choose(2) == 1 {
                self.late.remove(0);
            } else {
                self.land(0);
            }
        }
    }
}

impl Asked {
    fn describe(&self) -> String {
        match self {
            Self::View => "view".to_owned(),
            Self::Commit(changes) => format!("commit of {} alternatives", changes.len()),
            Self::Confirm(key) => format!("confirm that {key} is absent"),
            Self::Get(server, path) => format!("GET {path} of API server {server}"),
            Self::Pause => "goes on".to_owned(),
            Self::Sleep => "sleeps".to_owned(),
        }
    }
}

fn describe_writes(writes: &[Write]) -> String {
    let mut words = Vec::new();
    for write in writes {
        words.push(match write {
            Write::Put(key, value) => format!("{key} = {}", String::from_utf8_lossy(value)),
            Write::Delete(key) | Write::DeleteIf(key, _) => format!("{key} goes"),
        });
    }
    words.join("\n   ")
}

/// What an API server answers to a GET: an object, a list of all whose path begins so, or that there is none.
fn get(objects: &BTreeMap<String, Value>, path: &str) -> Told {
    let path = path.split('?').next().unwrap_or_default();
    if let Some(object) = objects.get(path) {
        return Told::Get(200, object.to_string());
    }
    let kind = path.rsplit('/').next().unwrap_or_default();
    if matches!(kind, "pods" | "nodes") {
        let inside = format!("/{kind}/");
        let items: Vec<&Value> =
            objects.iter().filter(|(path, _)| path.contains(&inside)).map(|(_, one)| one).collect();
        let kind = if kind == "pods" { "PodList" } else { "NodeList" };
        let list = serde_json::json!({"apiVersion": "v1", "kind": kind, "metadata": {}, "items": items});
        return Told::Get(200, list.to_string());
    }
    let status = r#"{"apiVersion":"v1","kind":"Status","status":"Failure","code":404,"reason":"NotFound","message":"not found"}"#;
    Told::Get(404, status.to_owned())
}
