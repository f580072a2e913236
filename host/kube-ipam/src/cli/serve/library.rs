//! The networks, with their stores opened to read.
//!
//! They are kept open for a while: a login at etcd takes a tenth of a second. Then everything is read again, because
//! networks come and go, certificates are renewed, and the file of an embedded store may be another one.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use serde::Serialize;

use super::reply::Failure;
use crate::cli::network::{FoundNetwork, NetworkArgs, Opened};
use crate::cli::output::CommandError;
use limits::serve::NETWORKS_KNOWN;

/// Where answers find the networks.
pub(super) struct Library {
    wanted: NetworkArgs,
    shelf: RefCell<Option<(Instant, Rc<Networks>)>>,
}

/// The networks as they were found.
pub(super) struct Networks {
    pub(super) opened: Vec<Opened>,
    /// Those whose configuration cannot be used hide no others.
    pub(super) unusable: Vec<UnusableNetwork>,
}

#[derive(Serialize)]
pub(super) struct UnusableNetwork {
    name: String,
    file: String,
    error: String,
    hint: Option<String>,
    #[serde(skip)]
    pub(super) found: FoundNetwork,
}

impl Library {
    pub(super) fn new(wanted: NetworkArgs) -> Self {
        Self { wanted, shelf: RefCell::default() }
    }

    /// The networks as they are, or were a moment ago.
    pub(super) fn networks(&self) -> Result<Rc<Networks>, Failure> {
        let mut shelf = self.shelf.borrow_mut();
        if let Some((since, networks)) = &*shelf {
            // LMDB lets a process open a file only once: while somebody reads on, nothing is opened beside it.
            let in_use = Rc::strong_count(networks) > 1;
            if in_use || since.elapsed() < NETWORKS_KNOWN {
                return Ok(networks.clone());
            }
        }
        *shelf = None;
        let networks = Rc::new(Networks::open(self.wanted.find().map_err(CommandError::from)?));
        *shelf = Some((Instant::now(), networks.clone()));
        Ok(networks)
    }

    /// What a request is about: one of the networks by its name, or all.
    pub(super) fn wanted(&self, network: Option<&str>) -> Result<NetworkArgs, Failure> {
        let Some(name) = network else { return Ok(self.wanted.clone()) };
        if self.networks()?.opened.iter().any(|opened| opened.base.network == name) {
            return Ok(self.wanted.named(name));
        }
        Err(Failure::not_found(&format!("network {name:?} here")))
    }
}

impl Networks {
    fn open(found: Vec<FoundNetwork>) -> Self {
        let mut networks = Self { opened: Vec::new(), unusable: Vec::new() };
        for network in found {
            match network.open_to_read() {
                Ok(mut opened) => {
                    // Domains of one place share its file or its connection.
                    if let Some(other) = networks.opened.iter().find(|other| other.base.store == opened.base.store) {
                        opened.store = other.store.beside(&opened.base.domain);
                    }
                    networks.opened.push(opened);
                }
                Err(error) => networks.unusable.push(UnusableNetwork {
                    name: network.name.clone(),
                    file: network.file.clone(),
                    error: error.to_string(),
                    hint: error.hint(),
                    found: network,
                }),
            }
        }
        networks
    }

    /// One network for each place where addresses are kept, of which a list has the records once.
    pub(super) fn books(&self) -> Vec<&Opened> {
        let mut books: Vec<&Opened> = Vec::new();
        for opened in &self.opened {
            if !books.iter().any(|known| known.keeps_with(opened)) {
                books.push(opened);
            }
        }
        books
    }
}
