//! The contract over a real etcd, and what may happen to a connection.

mod server;

use super::*;
use crate::store::conformance::conformance;
use server::Server;

fn shared() -> (Etcd, ()) {
    (Etcd::new(Options { endpoints: vec![Server::shared().url()], ..Options::default() }), ())
}

conformance!(shared());
