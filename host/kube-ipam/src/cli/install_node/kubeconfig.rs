//! A kubeconfig from a pod's service account. Token and certificate are in it as text, because the pod's files do not exist
//! on the node.

use std::io;
use std::net::Ipv6Addr;
use std::path::Path;

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::error::InstallError;
use files::read_regular;
use limits::CREDENTIAL_BYTES;

/// The name of the one cluster, user and context in it.
const NAME: &str = "kube-ipam";

/// The URL of the API server: the one given, or the one that Kubernetes names to every pod in its environment.
pub(super) fn server(given: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<String, InstallError> {
    let server = match given {
        Some(server) => server.to_owned(),
        None => server_of_pod(variable)?,
    };
    match server.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => Ok(server),
        _ => Err(InstallError::NotAServer { server }),
    }
}

fn server_of_pod(variable: impl Fn(&str) -> Option<String>) -> Result<String, InstallError> {
    let host = required(&variable, "KUBERNETES_SERVICE_HOST")?;
    let port = required(&variable, "KUBERNETES_SERVICE_PORT")?;
    Ok(match host.parse::<Ipv6Addr>() {
        Ok(host) => format!("https://[{host}]:{port}"),
        Err(_) => format!("https://{host}:{port}"),
    })
}

fn required(variable: impl Fn(&str) -> Option<String>, name: &'static str) -> Result<String, InstallError> {
    match variable(name) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(InstallError::NoServer { variable: name }),
    }
}

/// The kubeconfig as JSON, which is YAML, too. Kubelet renews token and CA one after the other: a kubeconfig that was made
/// between the two is corrected at the next look.
pub(super) fn from_service_account(directory: &Path, server: &str) -> Result<Vec<u8>, InstallError> {
    let authority = authority(&directory.join("ca.crt"))?;
    let token = token(&directory.join("token"))?;
    let mut text = format!("{:#}", kubeconfig(server, authority, &token)).into_bytes();
    text.push(b'\n');
    Ok(text)
}

fn kubeconfig(server: &str, authority: Vec<u8>, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": NAME,
            "cluster": { "server": server, "certificate-authority-data": ByteString(authority) },
        }],
        "users": [{ "name": NAME, "user": { "token": token } }],
        "contexts": [{ "name": NAME, "context": { "cluster": NAME, "user": NAME } }],
        "current-context": NAME,
    })
}

fn authority(file: &Path) -> Result<Vec<u8>, InstallError> {
    let text = read(file)?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(text.into_bytes());
    }
    Err(InstallError::Unusable { path: file.to_owned(), fault: "does not contain a PEM certificate" })
}

fn token(file: &Path) -> Result<String, InstallError> {
    let text = read(file)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InstallError::Unusable { path: file.to_owned(), fault: "does not contain a token" });
    }
    Ok(token.to_owned())
}

fn read(file: &Path) -> Result<String, InstallError> {
    let hint = "run in a pod whose service account is mounted, or name its directory with --service-account";
    let read = read_regular(file, CREDENTIAL_BYTES)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("it is not text")));
    read.map_err(|source| InstallError::unreadable(file, hint, source))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kube::config::Kubeconfig;
    use tempfile::TempDir;

    use super::*;
    use cni::Fail;

    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn account(token: &str, authority: &str) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("token"), token).unwrap();
        fs::write(directory.path().join("ca.crt"), authority).unwrap();
        directory
    }

    fn in_pod(host: &str) -> Result<String, InstallError> {
        server(None, |name| match name {
            "KUBERNETES_SERVICE_HOST" => Some(host.to_owned()),
            _ => Some("6443".to_owned()),
        })
    }

    #[test]
    fn the_api_server_is_the_one_given_or_the_pods() {
        assert_eq!(in_pod("10.96.0.1").unwrap(), "https://10.96.0.1:6443");
        assert_eq!(in_pod("fd00::1").unwrap(), "https://[fd00::1]:6443");
        assert_eq!(in_pod("api.example").unwrap(), "https://api.example:6443");
        assert_eq!(server(Some("https://a:1"), |_| None).unwrap(), "https://a:1");
    }

    #[test]
    fn without_a_server_and_without_tls_nothing_is_written() {
        for (error, hint) in [
            (in_pod(""), "--server"),
            (server(None, |_| None), "--server"),
            (server(Some("http://a:1"), |_| None), "TLS"),
            (server(Some("https://"), |_| None), "TLS"),
            (server(Some("a b"), |_| None), "TLS"),
        ] {
            let error = error.unwrap_err();
            assert!(error.hint().unwrap().contains(hint), "{error}: {}", error.hint().unwrap());
        }
    }

    #[test]
    fn clients_of_kubernetes_understand_it() {
        let account = account("secret\n", AUTHORITY);
        let written = from_service_account(account.path(), "https://[fd00::1]:443").unwrap();
        let read = Kubeconfig::from_yaml(std::str::from_utf8(&written).unwrap()).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("kube-ipam"));
        let cluster = read.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://[fd00::1]:443"));
        let data: ByteString = serde_json::from_value(json!(cluster.certificate_authority_data)).unwrap();
        assert_eq!(data.0, AUTHORITY.as_bytes());
        let text: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(text["users"][0]["user"]["token"], "secret");
    }

    #[test]
    fn an_unusable_service_account_is_named_by_its_file() {
        for (token, authority, file) in
            [("", AUTHORITY, "/token"), ("two words", AUTHORITY, "/token"), ("secret", "no PEM", "/ca.crt")]
        {
            let account = account(token, authority);
            let error = from_service_account(account.path(), "https://a:1").unwrap_err();
            let text = error.to_string();
            assert!(text.contains(file) && !text.contains("words"), "{text}");
            assert!(error.hint().unwrap().contains("--service-account"));
        }
        let oversized = account(&"a".repeat(CREDENTIAL_BYTES as usize + 1), AUTHORITY);
        assert!(from_service_account(oversized.path(), "https://a:1").is_err());
        let error = from_service_account(Path::new("/nonexistent"), "https://a:1").unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/ca.crt");
    }
}
