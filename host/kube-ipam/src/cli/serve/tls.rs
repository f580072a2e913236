//! HTTPS, with the implementation of TLS that the clients of etcd and of the API server use.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, rustls};

use super::ServeError;

pub(super) struct Tls(TlsAcceptor);

impl Tls {
    /// Read once: a certificate that was renewed is used from the next start on.
    pub(super) fn read(cert: &Path, key: &Path) -> Result<Self, ServeError> {
        let failed = |why: String| ServeError::Certificate { path: cert.to_owned(), why };
        for file in [cert, key] {
            files::check_regular(file).map_err(|error| failed(format!("{}: {error}", file.display())))?;
        }
        let config = configuration(cert, key).map_err(failed)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.0.accept(stream).await
    }
}

fn configuration(cert: &Path, key: &Path) -> Result<ServerConfig, String> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_file_iter(cert).map_err(|error| error.to_string())? {
        chain.push(certificate.map_err(|error| error.to_string())?);
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    let known = |error: rustls::Error| error.to_string();
    ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(known)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(known)
}
