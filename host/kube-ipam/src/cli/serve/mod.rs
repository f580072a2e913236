//! `kube-ipam serve`: a page for operators, and the same as JSON for programs. It only reads.
//!
//! ```text
//!   browser ──► listen ──► door ──► route ──┬─► assets                      the page, part of this program
//!                 │          │              └─► api ──► library ──► store   opened to read: no change gets through
//!      as many connections   │                   │
//!      as there are places   │                   └─ known: counts are made once, however many ask
//!                            └─ method, host, token
//! ```
//!
//! **Nothing is changed.** The stores are opened by [`Store::configured_to_read`](store::Store::configured_to_read), whose
//! map refuses every change before etcd or the file hears of it; there is no request that could ask for one.
//!
//! **One thread, and nobody waits for a slow client.** An answer is made whole and then sent; its connection has a time after
//! which it is cut. A request looks at a bounded number of records, and says where the next one goes on.

mod api;
mod assets;
mod census;
mod door;
mod known;
mod library;
mod listen;
mod query;
mod reply;
mod route;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use super::cache::CacheArgs;
use super::network::NetworkArgs;
use super::output::{self, CommandError, Done, Output};
use crate::runtime;
use cni::Fail;
use door::Door;
use route::Service;
use tls::Tls;

/// Examples for the help of `serve`.
pub(super) const EXAMPLES: &str = "\
Examples:
  kube-ipam serve                                 the networks of this node at http://127.0.0.1:9099/
  ssh -L 9099:127.0.0.1:9099 node-1               from a laptop: then open http://127.0.0.1:9099/ there
  kube-ipam serve --listen 0.0.0.0:9099 --token-file /etc/kube-ipam/token --cert tls.crt --key tls.key
                                                  for others, who are asked for the token
  curl http://127.0.0.1:9099/api/v1/addresses?namespace=shop
                                                  the same as JSON, for programs
  curl http://127.0.0.1:9099/metrics              what `kube-ipam metrics` prints, for Prometheus";

#[derive(Args, Debug)]
pub(crate) struct ServeOptions {
    /// The address and port to listen at. Any other than one of this machine alone needs --token-file
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9099")]
    listen: SocketAddr,
    /// Answer only who brings the token of this file: `Authorization: Bearer TOKEN`. The page asks for it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificate for HTTPS, PEM with the chain
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheArgs,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(
        "{0} can be reached from other machines, and without a token anybody there could read who has which address"
    )]
    NoToken(SocketAddr),
    #[error("cannot read the token in {}", path.display())]
    Token { path: PathBuf, source: std::io::Error },
    #[error("the token in {} has fewer than {} characters", path.display(), limits::serve::TOKEN_LEAST)]
    ShortToken { path: PathBuf },
    #[error("cannot use the certificate {} with its key: {why}", path.display())]
    Certificate { path: PathBuf, why: String },
    #[error("cannot listen at {at}")]
    Listen { at: SocketAddr, source: std::io::Error },
    #[error("cannot be told to stop")]
    Signals { source: std::io::Error },
}

impl Fail for ServeError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoToken(_) | Self::Token { .. } | Self::ShortToken { .. } => {
                "make one with `head -c 32 /dev/urandom | base64 >FILE` and name it with --token-file FILE; or leave out \
                 --listen and come over `ssh -L` or a proxy"
                    .to_owned()
            }
            Self::Certificate { .. } => "name a PEM file with --cert, and that of its key with --key".to_owned(),
            Self::Listen { .. } => "choose another address or port with --listen; `ss -ltnp` shows who has it".to_owned(),
            Self::Signals { .. } => return None,
        })
    }
}

pub(crate) fn serve(options: &ServeOptions, network: &NetworkArgs) -> Done {
    // What is wrong with the options or the networks is said at once, and not to the first who opens the page.
    network.find()?;
    let door = Door::new(options.listen, options.token_file.as_deref())?;
    let tls = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => Some(Tls::read(cert, key)?),
        _ => None,
    };
    if tls.is_none() && !options.listen.ip().is_loopback() {
        tracing::warn!("without --cert and --key the token travels in the clear: put a proxy with TLS before this");
    }
    let service = Rc::new(Service::new(door, network.clone(), options.cache.clone()));
    runtime::block_on(LocalSet::new().run_until(run(options.listen, tls, service)))?;
    Ok(Output::text(""))
}

/// Serve until a signal says that it is enough.
async fn run(at: SocketAddr, tls: Option<Tls>, service: Rc<Service>) -> Result<(), CommandError> {
    let failed = |source| ServeError::Signals { source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let listener = listen::bind(at).await.map_err(|source| ServeError::Listen { at, source })?;
    let bound = listener.local_addr().map_err(|source| ServeError::Listen { at, source })?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    output::line(&format!("{scheme}://{bound}/"));
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    listen::serve_until(stop, listener, tls, service).await;
    Ok(())
}
