//! Members, asked one after the other until one answers; and what their errors mean.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use etcd_client::{AlarmAction, AlarmType, Client, ConnectOptions};
use jiff::Timestamp;
use tonic::Code;

use super::{credentials, notes};
use crate::config::EtcdConfig;
use crate::error::StoreError;
use ipam::shown::joined;
use limits::store::ETCD_ANSWER;

/// The members of a cluster, at most one of them connected.
pub(super) struct Cluster {
    config: EtcdConfig,
    /// No request is sent, and none is waited for, after this.
    deadline: Option<Instant>,
    /// Which member is asked next. Processes begin with different ones.
    turn: Cell<usize>,
    connected: RefCell<Option<Rc<Client>>>,
    round_trips: Cell<u32>,
    /// Whether the connected member survives it when a caller is killed while its transaction of reads is on its way. `None`
    /// at first.
    sturdy: Cell<Option<bool>>,
}

/// Why a member gave no answer that counts.
pub(super) enum Failure {
    /// Any other member would say the same: nobody else is asked.
    Final(StoreError),
    /// Not connected, cut off, or too slow: what was asked may or may not have happened.
    Silence(String),
}

impl Cluster {
    pub(super) fn new(config: EtcdConfig, deadline: Option<Instant>) -> Self {
        let turn = std::process::id() as usize % config.endpoints.len().max(1);
        Self {
            config,
            deadline,
            turn: Cell::new(turn),
            connected: RefCell::default(),
            round_trips: Cell::default(),
            sturdy: Cell::default(),
        }
    }

    /// A cluster of one of the members alone.
    pub(super) fn alone(&self, endpoint: &str) -> Self {
        let config = EtcdConfig { endpoints: vec![endpoint.to_owned()], ..self.config.clone() };
        Self::new(config, self.deadline)
    }

    pub(super) fn config(&self) -> &EtcdConfig {
        &self.config
    }

    pub(super) fn endpoints(&self) -> &[String] {
        &self.config.endpoints
    }

    pub(super) fn is_sturdy(&self) -> bool {
        self.sturdy.get() == Some(true)
    }

    /// Whether the connected member is to be asked for its version, which is not known: at once where it can be noted, and
    /// otherwise from this call's second request on.
    pub(super) fn is_curious(&self) -> bool {
        self.sturdy.get().is_none() && (self.config.notes.is_some() || self.round_trips.get() > 1)
    }

    /// Remember whether the connected member outlives a caller that is killed.
    pub(super) fn learn(&self, sturdy: bool) {
        self.sturdy.set(Some(sturdy));
        if let (Some(directory), Some(endpoint)) = (&self.config.notes, self.endpoint()) {
            notes::note(directory, endpoint, sturdy, Timestamp::now());
        }
    }

    /// The member whose turn it is.
    fn endpoint(&self) -> Option<&str> {
        let endpoints = &self.config.endpoints;
        endpoints.get(self.turn.get() % endpoints.len().max(1)).map(String::as_str)
    }

    pub(super) fn round_trips(&self) -> u32 {
        self.round_trips.get()
    }

    /// Ask something that may be asked twice: every member once, and the only one again when its connection broke.
    pub(super) async fn ask<T>(
        &self,
        doing: &'static str,
        request: impl AsyncFn(Rc<Client>) -> Result<T, etcd_client::Error>,
    ) -> Result<T, StoreError> {
        let (start, members) = (Instant::now(), self.config.endpoints.len());
        let mut failures = Vec::new();
        for attempt in 0..members.max(2) {
            // The only member there is gets a second chance, unless it has used up its time already.
            if attempt >= members && start.elapsed() >= ETCD_ANSWER {
                break;
            }
            match self.send(doing, &request).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(StoreError::TooLate)) if !failures.is_empty() => break,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Silence(failure)) => failures.push(failure),
            }
        }
        failures.dedup();
        Err(StoreError::Unreachable { failures })
    }

    /// Send a request once, to the member whose turn it is. After silence it is the next one's turn.
    pub(super) async fn send<T>(
        &self,
        doing: &'static str,
        request: impl AsyncFn(Rc<Client>) -> Result<T, etcd_client::Error>,
    ) -> Result<T, Failure> {
        let patience = self.patience()?;
        let Some(endpoint) = self.endpoint() else {
            return Err(Failure::Final(StoreError::Unreachable { failures: vec!["no endpoint is configured".into()] }));
        };
        // Boxed: what the client needs to make a request is tens of kilobytes, and every caller's future would carry,
        // move and touch them.
        let answer = Box::pin(async {
            let client = self.connect(endpoint).await?;
            self.round_trips.set(self.round_trips.get() + 1);
            request(client).await.map_err(|error| explain(doing, endpoint, error))
        });
        let failure = match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Silence(format!("{endpoint}: no answer within {patience:.1?}")),
        };
        // The library says of a wrong key only that the connection failed; no other member would take that key either.
        if let (Failure::Silence(why), Some(client)) = (&failure, &self.config.client)
            && credentials::is_mismatch(why)
        {
            return Err(Failure::Final(credentials::mismatch(client)));
        }
        // Whatever came of the request, the connection is of no more use: the next request begins with another member.
        if matches!(failure, Failure::Silence(_)) {
            self.turn.set(self.turn.get().wrapping_add(1));
            self.connected.replace(None);
            self.sturdy.set(None);
        }
        Err(failure)
    }

    /// A full etcd answers reads as if nothing were wrong.
    pub(super) async fn refuse_alarms(&self) -> Result<(), StoreError> {
        let alarms = self.ask("read alarms", async |client| {
            client.maintenance_client().alarm(AlarmAction::Get, AlarmType::None, None).await
        });
        match alarms.await {
            Ok(alarms) if alarms.alarms().iter().any(|alarm| alarm.alarm() == AlarmType::Nospace) => {
                Err(StoreError::Full { place: self.config.endpoints.join(",") })
            }
            // Only etcd's root may ask for alarms where users are told apart.
            Ok(_) | Err(StoreError::Refused { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn connect(&self, endpoint: &str) -> Result<Rc<Client>, Failure> {
        if let Some(client) = self.connected.borrow().clone() {
            return Ok(client);
        }
        let mut options = ConnectOptions::new();
        if endpoint.starts_with("https://") {
            options = options.with_tls(credentials::tls(&self.config).map_err(Failure::Final)?);
        }
        if let Some((name, password)) = credentials::user(&self.config).map_err(Failure::Final)? {
            options = options.with_user(name, password);
        }
        let connected = Client::connect([endpoint], Some(options)).await;
        let client = Rc::new(connected.map_err(|error| explain("accept the login", endpoint, error))?);
        self.connected.replace(Some(client.clone()));
        if let Some(directory) = &self.config.notes {
            self.sturdy.set(notes::sturdy(directory, endpoint, Timestamp::now()));
        }
        Ok(client)
    }

    /// How long the next answer is waited for.
    fn patience(&self) -> Result<Duration, Failure> {
        let Some(deadline) = self.deadline else { return Ok(ETCD_ANSWER) };
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left.min(ETCD_ANSWER)),
            _ => Err(Failure::Final(StoreError::TooLate)),
        }
    }
}

fn explain(doing: &'static str, endpoint: &str, error: etcd_client::Error) -> Failure {
    let endpoint = endpoint.to_owned();
    let status = match error {
        etcd_client::Error::GRpcStatus(status) => status,
        etcd_client::Error::TransportError(error) => return Failure::Silence(format!("{endpoint}: {}", why(&error))),
        error => return Failure::Final(StoreError::Refused { doing, endpoint, why: error.to_string() }),
    };
    match status.code() {
        Code::ResourceExhausted if status.message().contains("space") => {
            Failure::Final(StoreError::Full { place: endpoint })
        }
        Code::OutOfRange if status.message().contains("compacted") => Failure::Final(StoreError::Compacted),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal => {
            let said = match status.source() {
                Some(source) => why(source),
                None => status.message().to_owned(),
            };
            Failure::Silence(format!("{endpoint}: {said}"))
        }
        _ => Failure::Final(StoreError::Refused { doing, endpoint, why: status.message().to_owned() }),
    }
}

/// Why there was no answer. The client's own link, "transport error", says nothing to an operator.
fn why(error: &dyn Error) -> String {
    joined(error).replace("transport error: ", "")
}
