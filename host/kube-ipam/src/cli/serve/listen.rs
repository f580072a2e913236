//! Connections: as many as there are places, each for a bounded time.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::route::Service;
use super::tls::Tls;
use limits::serve::{CONNECTION_LIFE, CONNECTIONS, LAST_ANSWER, REQUEST_HEAD, REQUEST_HEAD_TIME, REQUEST_HEADERS};

/// A pause after a connection that could not be taken, as where this process has too many files open.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn bind(at: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(at).await
}

/// Takes connections until `stop`. Then those that have an answer on its way get it, for as long as that may take.
pub(super) async fn serve_until(
    stop: impl Future<Output = ()>,
    listener: TcpListener,
    tls: Option<Tls>,
    service: Rc<Service>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let tls = tls.map(Rc::new);
    let (end, ending) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let taken = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            taken = taken => taken,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (service, tls, ending) = (service.clone(), tls.clone(), ending.clone());
        spawn_local(async move {
            let _place = place;
            connected(stream, tls.as_deref(), &service, ending).await;
        });
    }
    drop(listener);
    drop(end);
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let _ = timeout(LAST_ANSWER, places.acquire_many(all)).await;
}

async fn connected(stream: TcpStream, tls: Option<&Tls>, service: &Rc<Service>, ending: watch::Receiver<()>) {
    let Some(tls) = tls else { return talk(stream, service, ending).await };
    // A client that shakes no hands keeps its place no longer than one that sends no head.
    if let Ok(Ok(stream)) = timeout(REQUEST_HEAD_TIME, tls.accept(stream)).await {
        talk(stream, service, ending).await;
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, service: &Rc<Service>, mut ending: watch::Receiver<()>) {
    let service = service_fn(|request: Request<Incoming>| {
        let service = service.clone();
        async move { service.answer(&request).await }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD_TIME)
        .max_buf_size(REQUEST_HEAD)
        .max_headers(REQUEST_HEADERS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // A client that goes away or talks nonsense is none of the others' concerns.
        _ = connection.as_mut() => return,
        () = sleep(CONNECTION_LIFE) => {}
        _ = ending.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}
