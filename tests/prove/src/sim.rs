//! The world of one schedule: a map, API servers, and processes that wait for their answers.
//!
//! ```text
//!   a verb of production ── view, commit, confirm, GET ──► Waiting        it waits here, whatever it asked
//!                                                             │
//!   schedule: which of those that wait goes on? ──────────────┤
//!             what comes of its question?                     ▼
//!                                            answered · applied, unheard · not applied, unheard · applied later ·
//!                                            a view of the past · full · too late · its process is killed
//! ```
//!
//! A schedule costs what it departs from calls that run one after the other: each switch away from a process that could go on,
//! and each fault, is one. All schedules up to some cost are a small part of all, and the one in which nearly every fault shows.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use serde_json::Value;
use store::StoreError;
use store::memory::{Memory, MemoryView};
use store::ordered::{Change, Commit};

mod schedule;

use crate::choices::Choices;
use crate::clock;
use crate::explore::caught;
use crate::judge::Judge;
use schedule::Next;

/// What may go wrong in a scenario, beside the order of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A member of the store shows the past.
    StaleView,
    /// A question has no answer, and was not heard.
    Unheard,
    /// A commit was applied, and nobody said so.
    Unsaid,
    /// A commit is applied later, and nobody says so.
    Later,
    /// A commit is still in the network when its process has given up, and reaches the store after whatever else.
    Astray,
    /// The store takes nothing but deletions.
    Full,
    /// The call was too late to commit.
    TooLate,
    /// What was read is forgotten before all of it is read.
    Compacted,
    /// The process is killed.
    Death,
    /// The API server shows the past.
    StaleServer,
    /// The API server refuses.
    Forbidden,
}

impl Fault {
    pub const ALL: [Self; 11] = [
        Self::StaleView,
        Self::Unheard,
        Self::Unsaid,
        Self::Later,
        Self::Astray,
        Self::Full,
        Self::TooLate,
        Self::Compacted,
        Self::Death,
        Self::StaleServer,
        Self::Forbidden,
    ];

    /// What a store may do to a call, and a node to a process.
    pub const OF_STORE: [Self; 9] = [
        Self::StaleView,
        Self::Unheard,
        Self::Unsaid,
        Self::Later,
        Self::Astray,
        Self::Full,
        Self::TooLate,
        Self::Compacted,
        Self::Death,
    ];
}

/// How far schedules go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Switches and faults together.
    pub cost: u32,
    /// Of these, faults.
    pub faults: u32,
    /// Whether a switch costs nothing: every order of things, then.
    pub all_orders: bool,
}

/// What a process asks.
#[derive(Clone, Debug)]
pub enum Asked {
    View,
    Commit(Vec<Change>),
    Confirm(String),
    /// A request to an API server: which one, and the path.
    Get(usize, String),
    /// Nothing: whoever is next may go on.
    Pause,
    /// Nothing: it sleeps, and time passes.
    Sleep,
}

/// What comes of it.
pub enum Told {
    View(MemoryView, bool),
    Commit(Commit),
    Confirm(bool),
    Get(u16, String),
    Nothing,
    StoreError(StoreError),
    Unreachable,
}

struct Waiting {
    id: u64,
    process: usize,
    asked: Asked,
    told: Option<Told>,
}

/// A commit that is applied later.
struct Late {
    changes: Vec<Change>,
    is_astray: bool,
}

/// Everything there is while one schedule runs.
pub struct State {
    pub choices: Choices,
    pub memory: Memory,
    pub judge: Judge,
    past: Vec<MemoryView>,
    late: Vec<Late>,
    waiting: Vec<Waiting>,
    next_id: u64,
    running: usize,
    killed: Option<usize>,
    /// Processes that were touched by a fault: what they fail with is no wonder.
    pub disturbed: BTreeSet<usize>,
    bounds: Bounds,
    possible: Vec<Fault>,
    pub spent: u32,
    pub faults: u32,
    /// Answers come at once, and nothing goes wrong: before and after the schedule.
    is_quiet: bool,
    /// The objects of each API server by their paths, as they are and as they were.
    pub servers: Vec<Server>,
    pub trace: Option<Vec<String>>,
    pub broken: Option<String>,
    pub steps: u32,
    has_lied: bool,
}

/// An API server's objects, as they are and as they were.
#[derive(Clone, Default)]
pub struct Server {
    pub objects: Rc<BTreeMap<String, Value>>,
    pub before: Option<Rc<BTreeMap<String, Value>>>,
}

/// How the world is when a schedule begins: made once, and the same for all of them.
pub struct Beginning {
    memory: Memory,
    judge: Judge,
    servers: Vec<Server>,
    milliseconds: u64,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Look at the world of this schedule, or change it.
pub fn with<T>(look: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| look(state.as_mut().expect("a schedule runs")))
}

/// Begin a schedule in an empty world, and quietly.
pub fn begin(choices: Choices, bounds: Bounds, possible: &[Fault], is_traced: bool) {
    clock::begin();
    let state = State {
        choices,
        memory: Memory::default(),
        judge: Judge::default(),
        past: Vec::new(),
        late: Vec::new(),
        waiting: Vec::new(),
        next_id: 0,
        running: 0,
        killed: None,
        disturbed: BTreeSet::new(),
        bounds,
        possible: possible.to_vec(),
        spent: 0,
        faults: 0,
        is_quiet: true,
        servers: vec![Server::default(), Server::default()],
        trace: is_traced.then(Vec::new),
        broken: None,
        steps: 0,
        has_lied: false,
    };
    STATE.set(Some(state));
}

/// The world as it is now, for other schedules to begin with.
pub fn beginning() -> Beginning {
    with(|state| Beginning {
        memory: state.memory.fork(),
        judge: state.judge.clone(),
        servers: state.servers.clone(),
        milliseconds: clock::milliseconds(),
    })
}

/// Begin as another schedule has begun.
pub fn begin_so(beginning: &Beginning) {
    with(|state| {
        state.memory = beginning.memory.fork();
        state.judge = beginning.judge.clone();
        state.servers.clone_from(&beginning.servers);
    });
    clock::advance(beginning.milliseconds);
}

/// A number for all that a judgement of the end rests on.
pub fn fingerprint() -> u64 {
    with(|state| {
        let mut hasher = DefaultHasher::new();
        state.memory.entries().hash(&mut hasher);
        state.judge.hash_end(&mut hasher);
        (state.disturbed.is_empty(), clock::milliseconds()).hash(&mut hasher);
        hasher.finish()
    })
}

/// End a schedule.
pub fn end() -> Option<State> {
    STATE.take()
}

/// From here on the schedule decides, or no longer.
pub fn set_quiet(is_quiet: bool) {
    with(|state| state.is_quiet = is_quiet);
}

/// A promise is broken: the schedule ends here.
pub fn broken(what: impl FnOnce() -> String) {
    with(|state| {
        if state.broken.is_none() {
            let what = what();
            state.say(|| format!("BROKEN: {what}"));
            state.broken = Some(what);
        }
    });
}

/// The schedule is over: what is still on its way lands, and from here on all answers come at once.
pub fn settle() {
    with(|state| {
        if state.broken.is_none() {
            state.land_all();
        }
        state.is_quiet = true;
        state.waiting.clear();
        // From here on somebody asks whom no fault has touched.
        state.running = usize::MAX;
    });
}

pub fn say(what: impl FnOnce() -> String) {
    with(|state| state.say(what));
}

/// The process that is asking.
pub fn running() -> usize {
    with(|state| state.running)
}

/// Ask, and wait until the schedule lets the answer come.
pub fn ask(asked: Asked) -> Answer {
    Answer { asked: Some(asked), id: None }
}

/// An answer that is waited for.
pub struct Answer {
    asked: Option<Asked>,
    id: Option<u64>,
}

impl Future for Answer {
    type Output = Told;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Told> {
        with(|state| {
            if let Some(asked) = self.asked.take() {
                if state.is_quiet {
                    return Poll::Ready(state.answer(&asked));
                }
                let id = state.next_id;
                state.next_id += 1;
                state.waiting.push(Waiting { id, process: state.running, asked, told: None });
                self.id = Some(id);
                return Poll::Pending;
            }
            let found = state.waiting.iter().position(|waiting| Some(waiting.id) == self.id && waiting.told.is_some());
            let Some(at) = found else { return Poll::Pending };
            self.id = None;
            state.waiting.remove(at).told.map_or(Poll::Pending, Poll::Ready)
        })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        // The world may be gone already, where a schedule was broken off.
        STATE.with_borrow_mut(|state| {
            if let Some(state) = state {
                state.waiting.retain(|waiting| waiting.id != id);
            }
        });
    }
}

/// A call of a process, which may be killed at every await: `None` then.
pub struct Killable<F>(Pin<Box<F>>);

impl<F: Future> Killable<F> {
    pub fn new(call: F) -> Self {
        Self(Box::pin(call))
    }
}

impl<F: Future> Future for Killable<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let is_killed = with(|state| {
            let is_killed = state.killed == Some(state.running);
            state.killed = state.killed.filter(|_| !is_killed);
            is_killed
        });
        if is_killed { Poll::Ready(None) } else { self.0.as_mut().poll(context).map(Some) }
    }
}

/// A process: a node's runtime, an operator.
pub type Process = Pin<Box<dyn Future<Output = ()>>>;

/// Run processes until all are done, or a promise is broken.
pub async fn run(processes: Vec<Process>) {
    let mut processes: Vec<Option<Process>> = processes.into_iter().map(Some).collect();
    for nth in 0..processes.len() {
        go_on(nth, &mut processes).await;
    }
    loop {
        if with(|state| state.steps) > 5_000 {
            broken(|| "the schedule does not end".to_owned());
        }
        if with(|state| state.broken.is_some()) {
            return;
        }
        let next = with(State::next);
        match next {
            Next::Done => return,
            Next::Late(nth) => with(|state| state.land(nth)),
            Next::Process(nth) => go_on(nth, &mut processes).await,
        }
    }
}

/// Let a process compute until it waits for an answer or is done.
async fn go_on(nth: usize, processes: &mut [Option<Process>]) {
    let Some(process) = &mut processes[nth] else { return };
    for turn in 0.. {
        with(|state| state.running = nth);
        let polled = caught(|| process.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        let polled = match polled {
            Ok(polled) => polled,
            Err(panic) => {
                processes[nth] = None;
                broken(|| format!("a panic: {panic}"));
                return;
            }
        };
        if polled.is_ready() {
            processes[nth] = None;
            return;
        }
        let waits = with(|state| state.waiting.iter().any(|waiting| waiting.process == nth));
        if waits {
            return;
        }
        // It waits for its event loop: another turn of that, and then for time.
        if turn > 3 {
            tokio::task::yield_now().await;
        }
        if turn > 12 {
            with(|state| state.sleep(nth));
            return;
        }
    }
}

impl State {
    pub fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let line = what();
            trace.push(line);
        }
    }
}

/// The value of a future that never waits.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a map in memory answers at once"),
    }
}

/// The process that is asking, where the world is at hand already.
pub fn process(state: &State) -> usize {
    state.running
}
