//! From a path to an answer.

use std::convert::Infallible;

use hyper::{Request, StatusCode};
use tokio::time::timeout;

use super::api::Api;
use super::assets;
use super::door::Door;
use super::query::Query;
use super::reply::{Failure, Reply, answer};
use crate::cli::cache::CacheArgs;
use crate::cli::network::NetworkArgs;
use limits::serve::ANSWER_TIME;

/// All that requests are answered with.
pub(super) struct Service {
    door: Door,
    api: Api,
}

/// What stands before the paths of the programming interface. Its answers may get more fields, and lose none.
const API: &str = "/api/v1/";

/// The text format that Prometheus reads.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Service {
    pub(super) fn new(door: Door, network: NetworkArgs, cache: CacheArgs) -> Self {
        Self { door, api: Api::new(network, cache) }
    }

    /// The answer to a request; its body is never read.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Result<Reply, Infallible> {
        let path = request.uri().path();
        let asset = assets::find(path);
        let is_page = asset.is_some() || path == "/healthz";
        if let Err(refused) = self.door.admit(request, is_page) {
            return Ok(refused.reply());
        }
        if let Some(asset) = asset {
            return Ok(answer(StatusCode::OK, asset.content_type, asset.text));
        }
        // Whether this process is alive, and not whether a store is: whoever restarts it would not repair that.
        if path == "/healthz" {
            return Ok(answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n"));
        }
        let told = timeout(ANSWER_TIME, self.tell(path, request.uri().query().unwrap_or_default())).await;
        Ok(told.unwrap_or_else(|_| Err(Failure::late())).unwrap_or_else(|failure| failure.reply()))
    }

    async fn tell(&self, path: &str, query: &str) -> Result<Reply, Failure> {
        let query = Query::parse(query)?;
        if path == "/metrics" {
            return Ok(answer(StatusCode::OK, METRICS, self.api.metrics(&query).await?));
        }
        let part = path.strip_prefix(API).ok_or_else(|| Failure::not_found("such page"))?;
        Ok(answer(StatusCode::OK, "application/json", self.api.tell(part, &query).await?))
    }
}
