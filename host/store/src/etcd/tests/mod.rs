//! The contract over a real etcd, and what may happen to a connection.

mod access;
mod connections;
mod moments;
mod proxy;
mod server;

use std::sync::OnceLock;

use super::*;
use crate::conformance::{Bench, block_on, conformance, dynamic, requester};
use crate::{Claimed, Store};
use kube_ipam_tests::etcd::free_port;
use proxy::Proxy;
use server::Server;

fn at(endpoints: &[&str]) -> Options {
    Options { endpoints: endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect(), ..Options::default() }
}

fn shared() -> (Etcd, ()) {
    (Etcd::new(at(&[&Server::shared().url()])), ())
}

/// Have etcd forget everything but the present.
async fn compact(url: &str) {
    let mut client = etcd_client::Client::connect([url], None).await.unwrap();
    let revision = client.get("x", None).await.unwrap().header().unwrap().revision();
    client.compact(revision, None).await.unwrap();
}

conformance!(shared());

/// The contract over an encrypted connection.
mod encrypted {
    use super::*;

    fn shared() -> (Etcd, ()) {
        static SHARED: OnceLock<Server> = OnceLock::new();
        (Etcd::new(SHARED.get_or_init(Server::encrypted).options()), ())
    }

    conformance!(shared());
}

/// The contract over etcd 3.5, where there is one; what is not proven is told.
mod newer {
    use super::*;

    fn shared() -> Option<(Etcd, ())> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        let server = SHARED.get_or_init(Server::newer).as_ref()?;
        Some((Etcd::new(at(&[&server.url()])), ()))
    }

    conformance!(match shared() {
        Some(shared) => shared,
        None => return,
    });
}
