//! HTTPS on loopback, and the faults of a connection.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::answer::{Asked, answer};
use super::status::Status;
use super::{Fault, Recorded, State};
use crate::authority::Authority;

/// A thread that serves. It closes its port and connections when it goes out of scope.
#[derive(Debug)]
pub(super) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(port: u16, authority: &Authority, state: Arc<Mutex<State>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let tls = TlsAcceptor::from(Arc::new(configuration(authority)));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, &tls, &state) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn configuration(authority: &Authority) -> ServerConfig {
    let certificates = CertificateDer::pem_file_iter(authority.path("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(authority.path("server.key")).unwrap();
    ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key)
        .unwrap()
}

async fn accept(listener: TcpListener, tls: &TlsAcceptor, state: &Arc<Mutex<State>>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, state) = (tls.clone(), Arc::clone(state));
        tokio::spawn(async move {
            // A client that does not trust this server, or goes away, is none of its concerns.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(|request| serve(&state, request));
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn serve(state: &Mutex<State>, request: Request<Incoming>) -> Result<Response<Page>, Infallible> {
    let (asked, recorded) = read(&request);
    let (fault, answer) = {
        let mut state = state.lock().unwrap();
        let user = state.access.authenticate(asked.authorization.as_deref());
        state.requests.push(Recorded { user: user.clone(), ..recorded });
        match user {
            None => (None, Err(Status::unauthorized())),
            Some(user) => {
                let fault = state.next_fault(&asked);
                if fault == Some(Fault::Compacted) {
                    state.objects.compact();
                }
                (fault, answer(&state, &user, &asked))
            }
        }
    };
    let response = match fault {
        None | Some(Fault::Compacted) => json(answer),
        Some(Fault::Slow(delay)) => {
            tokio::time::sleep(delay).await;
            json(answer)
        }
        Some(Fault::Cut) => half(json(answer), End::Cut),
        Some(Fault::Stall) => half(json(answer), End::Stall),
        Some(Fault::Garbage) => page(200, "application/json", "{\"kind\":\"Pod\",\"apiVersion\":".to_owned()),
        Some(Fault::TooManyRequests { retry_after }) => json(Err(Status::too_many_requests(retry_after))),
        Some(Fault::Overloaded) => {
            let text = "Too many requests, please try again later.\n".to_owned();
            let mut response = page(429, "text/plain; charset=utf-8", text);
            response.headers_mut().insert(RETRY_AFTER, 1.into());
            response
        }
        Some(Fault::InternalError) => json(Err(Status::internal_error())),
        Some(Fault::Unavailable) => json(Err(Status::unavailable())),
    };
    Ok(response)
}

fn read(request: &Request<Incoming>) -> (Asked, Recorded) {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (method, uri) = (request.method().to_string(), request.uri());
    let asked = Asked {
        method: method.clone(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        host: header("host").unwrap_or_default(),
        authorization: header("authorization"),
        accept: header("accept").unwrap_or_default(),
    };
    (asked, Recorded { method, path_and_query: uri.to_string(), user: None })
}

fn json(answer: Result<serde_json::Value, Status>) -> Response<Page> {
    let status = match answer {
        Ok(object) => return page(200, "application/json", format!("{object}\n")),
        Err(status) => status,
    };
    let mut response = page(status.code, "application/json", format!("{}\n", status.to_json()));
    if let Some(seconds) = status.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn page(code: u16, content_type: &str, text: String) -> Response<Page> {
    let response = Response::builder().status(code).header(CONTENT_TYPE, content_type);
    let response = response.header(CONTENT_LENGTH, text.len()).header("Cache-Control", "no-cache, private");
    response.body(Page { text: Some(text.into()), end: End::Whole }).unwrap()
}

/// The same, as announced by its length, of which only the first half comes.
fn half(response: Response<Page>, end: End) -> Response<Page> {
    let first = |text: Bytes| text.slice(..text.len() / 2);
    response.map(|page| Page { text: page.text.map(first), end })
}

/// A body, and what comes after it.
#[derive(Debug)]
struct Page {
    text: Option<Bytes>,
    end: End,
}

#[derive(Debug)]
enum End {
    Whole,
    Stall,
    /// First what is there goes out, then the connection is cut.
    Cut,
    CutNow,
}

impl Body for Page {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(text) = self.text.take() {
            return Poll::Ready(Some(Ok(Frame::data(text))));
        }
        match self.end {
            End::Whole => Poll::Ready(None),
            End::Stall => Poll::Pending,
            End::Cut => {
                self.end = End::CutNow;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::CutNow => Poll::Ready(Some(Err(io::Error::other("cut")))),
        }
    }
}
