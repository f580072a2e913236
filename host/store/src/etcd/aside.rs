//! What a member of etcd tells by plain HTTP on the port of its clients, and not by its API: the time on its clock, until when
//! its certificate is valid, and its quota. For `doctor` alone.

use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{DATE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::credentials::authorities;
use super::validity::valid_until;
use crate::config::EtcdConfig;
use limits::CREDENTIAL_BYTES;
use limits::store::{ETCD_ANSWER, ETCD_METRICS};

/// What a member tells besides its API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// How far its clock is ahead of this node's. The header has whole seconds.
    pub clock: Option<SignedDuration>,
    /// Until when its certificate is valid.
    pub certificate: Option<Timestamp>,
    /// `--quota-backend-bytes`.
    pub quota: Option<u64>,
}

/// Asks one member, for as long as an answer may take.
pub(super) async fn ask(config: &EtcdConfig, endpoint: &str) -> Result<Aside, String> {
    match tokio::time::timeout(ETCD_ANSWER, connect_and_ask(config, endpoint)).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("no answer within {ETCD_ANSWER:?}")),
    }
}

async fn connect_and_ask(config: &EtcdConfig, endpoint: &str) -> Result<Aside, String> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("http", endpoint));
    let place = with_port(rest.split('/').next().unwrap_or_default());
    let stream = TcpStream::connect(&place).await.map_err(|error| error.to_string())?;
    if scheme != "https" {
        return request(TokioIo::new(stream), &place).await;
    }
    let name = ServerName::try_from(host_of(&place).to_owned()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(tls(config)?));
    let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = certificates.first().and_then(|certificate| valid_until(certificate));
    let aside = request(TokioIo::new(stream), &place).await?;
    Ok(Aside { certificate, ..aside })
}

fn with_port(place: &str) -> String {
    let has_port = place.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
    if has_port { place.to_owned() } else { format!("{place}:2379") }
}

/// The host of a place with a port, as a certificate names it: an IPv6 address without its brackets.
fn host_of(place: &str) -> &str {
    place.rsplit_once(':').map_or(place, |(host, _)| host).trim_matches(['[', ']'])
}

fn tls(config: &EtcdConfig) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities(config).iter().flat_map(|pem| CertificateDer::pem_slice_iter(pem)) {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.with_root_certificates(roots);
    let Some(client) = &config.client else { return Ok(builder.with_no_client_auth()) };
    let read = |path| files::read_regular(path, CREDENTIAL_BYTES).map_err(|error| error.to_string());
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(&client.cert)?).collect();
    let key = PrivateKeyDer::from_pem_slice(&read(&client.key)?).map_err(|error| error.to_string())?;
    let certificates = certificates.map_err(|error| error.to_string())?;
    builder.with_client_auth_cert(certificates, key).map_err(|error| error.to_string())
}

/// One request of the metrics. A member that keeps them elsewhere answers all the same, with its clock.
async fn request<S>(stream: TokioIo<S>, place: &str) -> Result<Aside, String>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(|error| error.to_string())?;
    let request = Request::get("/metrics").header(HOST, place).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let clock = ahead(&response, Timestamp::now());
        let is_ok = response.status().is_success();
        let body = http_body_util::Limited::new(response.into_body(), ETCD_METRICS).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let quota = if is_ok { gauge(&String::from_utf8_lossy(&body), QUOTA) } else { None };
        Ok(Aside { clock, certificate: None, quota })
    };
    // The connection has to be driven beside the request; it ends with it.
    tokio::select! {
        answered = asked => answered,
        broken = connection => Err(broken.err().map_or_else(|| "it hung up".to_owned(), |error| error.to_string())),
    }
}

const QUOTA: &str = "etcd_server_quota_backend_bytes";

/// How far the server's clock is ahead. Its header is in whole seconds, so that half a second is added.
fn ahead<B>(response: &Response<B>, now: Timestamp) -> Option<SignedDuration> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.duration_since(now) + SignedDuration::from_millis(500))
}

/// The value of a metric without labels.
fn gauge(metrics: &str, name: &str) -> Option<u64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let value: f64 = line.trim().parse().ok()?;
    (value > 0.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let metrics = format!("# TYPE {QUOTA} gauge\n{QUOTA}_more 7\n{QUOTA} 2.147483648e+09\n");
        assert_eq!(gauge(&metrics, QUOTA), Some(2 << 30));
        assert_eq!(gauge("", QUOTA), None);
    }

    #[test]
    fn a_clock_is_compared_by_the_date_of_an_answer() {
        let response = Response::builder().header(DATE, "Thu, 01 Jan 1970 00:01:00 GMT").body(()).unwrap();
        assert_eq!(ahead(&response, Timestamp::UNIX_EPOCH), Some(SignedDuration::from_millis(60_500)));
        assert_eq!(ahead(&Response::new(()), Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn an_endpoint_without_a_port_has_that_of_etcd() {
        for (endpoint, place, host) in [
            ("a", "a:2379", "a"),
            ("a:1", "a:1", "a"),
            ("[::1]:1", "[::1]:1", "::1"),
            ("[fd00::7]", "[fd00::7]:2379", "fd00::7"),
        ] {
            assert_eq!((with_port(endpoint).as_str(), host_of(&with_port(endpoint))), (place, host));
        }
    }
}
