//! The contract over a real etcd, and what may happen to a connection.

mod access;
mod connections;
mod proxy;
mod server;

use super::*;
use crate::store::conformance::{Bench, block_on, claimant, conformance, dynamic};
use crate::store::{Claimed, Store};
use proxy::Proxy;
use server::{Server, free_port};

fn at(endpoints: &[&str]) -> Options {
    Options { endpoints: endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect(), ..Options::default() }
}

fn shared() -> (Etcd, ()) {
    (Etcd::new(at(&[&Server::shared().url()])), ())
}

conformance!(shared());
