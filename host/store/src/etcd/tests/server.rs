//! The harness's etcd, one member, as these tests ask for it.

use std::ops::Deref;
use std::sync::OnceLock;

use kube_ipam_tests::etcd::{self, Release, Setup};

pub(super) struct Server(etcd::Etcd);

impl Server {
    /// One server for all cases: each case has its own prefix.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// etcd 3.5, where there is one.
    pub(super) fn newer() -> Option<Self> {
        let release = Release::all().into_iter().nth(1)?;
        Some(Self(Setup::single().of(&release).start()))
    }

    pub(super) fn start(args: &[&str]) -> Self {
        Self(Setup::single().with(args).start())
    }

    /// One that answers those alone who show a certificate of its authority.
    pub(super) fn encrypted() -> Self {
        Self(Setup::single().with_certificates().start())
    }

    pub(super) fn url(&self) -> String {
        self.endpoints().remove(0)
    }

    /// For a client with a certificate, of an encrypted one.
    pub(super) fn options(&self) -> super::Options {
        let mut options = super::at(&[&self.url()]);
        options.ca = Some(self.authority().certificate());
        options.cert = Some(self.authority().path("client.pem"));
        options.key = Some(self.authority().path("client.key"));
        options
    }
}

impl Deref for Server {
    type Target = etcd::Etcd;

    fn deref(&self) -> &etcd::Etcd {
        &self.0
    }
}
