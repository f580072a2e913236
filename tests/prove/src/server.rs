//! API servers: Kubernetes' own client asks them, and the schedule answers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;

use crate::sim::{Asked, Told, ask};

/// The connection to one API server.
#[derive(Clone)]
struct Wire(usize);

type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, std::io::Error>> + Send>>;

impl tower_service::Service<Request<Body>> for Wire {
    type Response = Response<Body>;
    type Error = std::io::Error;
    type Future = Answered;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answered {
        let path = request.uri().to_string();
        let answer = ask(Asked::Get(self.0, path));
        Box::pin(async move {
            match answer.await {
                Told::Get(status, body) => {
                    let response = Response::builder().status(status).header("content-type", "application/json");
                    response.body(Body::from(body.into_bytes())).map_err(std::io::Error::other)
                }
                _ => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            }
        })
    }
}

/// A client of this API server. It needs an event loop.
pub fn client(server: usize) -> Client {
    Client::new(Wire(server), "default")
}
