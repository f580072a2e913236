//! From credentials in files to a client.

use std::io;
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::error::Error;
use files::check_regular;
use ipam::shown::joined;

/// The file in which a pod finds the token of its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A word put into a kubeconfig that names no proxy, and taken out again. Otherwise kube would take a proxy from the
/// environment of the runtime that calls us; that one is for pulling images, and does not lead to the API server.
const NO_PROXY: &str = "http://no-proxy.invalid/";

/// Where the server's address and our credentials are.
pub(super) enum Access {
    /// They are in a file, as on a node.
    Kubeconfig(PathBuf),
    /// They are where Kubernetes puts them into a pod.
    ServiceAccount,
    /// They are in a client that somebody has made already.
    Client(Client),
}

/// A client, with the URL and the file that its errors name.
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) server: String,
    /// The file that the token is in.
    pub(super) token: PathBuf,
}

impl Access {
    /// `None` outside of a pod, or in one without a service account.
    pub(super) fn of_service_account() -> Option<Self> {
        let inside = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(SERVICE_ACCOUNT).exists();
        inside.then_some(Self::ServiceAccount)
    }

    /// The file that errors name.
    pub(super) fn file(&self) -> &Path {
        match self {
            Self::Kubeconfig(file) => file,
            Self::ServiceAccount => Path::new(SERVICE_ACCOUNT),
            Self::Client(_) => Path::new(""),
        }
    }

    /// Make a client from the files. It opens no connection before the first question.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        if let Self::Client(client) = self {
            return Ok(Connection { client: client.clone(), server: String::new(), token: PathBuf::new() });
        }
        let mut config = self.config().await.map_err(|why| self.unusable(why))?;
        config.connect_timeout = Some(limits::KUBERNETES_ANSWER);
        // We ask again ourselves: the library knows neither how long this call may take nor that the last answer has to
        // be named when the time is over.
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        // A token written into the kubeconfig itself comes before a file that it names.
        let token = match &config.auth_info.token_file {
            Some(token_file) if config.auth_info.token.is_none() => PathBuf::from(token_file),
            _ => self.file().to_owned(),
        };
        let client = Client::try_from(config).map_err(|error| self.unusable(joined(&error)))?;
        Ok(Connection { client, server, token })
    }

    /// Whether the files could be used. Connects nothing, and runs no program that would fetch a token.
    pub(super) async fn check(&self) -> Result<(), Error> {
        if let Self::Client(_) = self {
            return Ok(());
        }
        let config = self.config().await.map_err(|why| self.unusable(why))?;
        if config.auth_info.exec.is_none() {
            Client::try_from(config).map_err(|error| self.unusable(joined(&error)))?;
        }
        Ok(())
    }

    async fn config(&self) -> Result<Config, String> {
        match self {
            Self::Kubeconfig(file) => {
                check_regular(file).map_err(|error| error.to_string())?;
                let mut kubeconfig = Kubeconfig::read_from(file).map_err(explain_file)?;
                check_files(&kubeconfig)?;
                for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
                    if cluster.proxy_url.as_ref().is_none_or(String::is_empty) {
                        cluster.proxy_url = Some(NO_PROXY.to_owned());
                    }
                }
                let options = KubeConfigOptions::default();
                let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(explain_file)?;
                if config.proxy_url.as_ref().is_some_and(|proxy| *proxy == NO_PROXY) {
                    config.proxy_url = None;
                }
                Ok(config)
            }
            Self::ServiceAccount => Config::incluster().map_err(|error| joined(&error)),
            Self::Client(_) => Err("a client that is made already has no files".to_owned()),
        }
    }

    fn unusable(&self, why: String) -> Error {
        Error::Kubeconfig { file: self.file().to_owned(), why }
    }
}

/// The decoder names types of this program, which nobody who writes a kubeconfig knows.
fn explain_file(error: KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "it is not a kubeconfig in YAML or JSON".to_owned(),
        error => joined(&error),
    }
}

/// Refuse a kubeconfig that names a file which is not a regular one: the library would wait for a pipe without end.
fn check_files(kubeconfig: &Kubeconfig) -> Result<(), String> {
    let mut files: Vec<&String> = Vec::new();
    for cluster in kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref()) {
        files.extend(&cluster.certificate_authority);
    }
    for user in kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref()) {
        files.extend([&user.client_certificate, &user.client_key, &user.token_file].into_iter().flatten());
    }
    for file in files {
        // Only the context that is used needs its files, and the library says which of them is missing.
        if let Err(error) = check_regular(Path::new(file))
            && error.kind() == io::ErrorKind::Other
        {
            return Err(format!("{file}: {error}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn what_is_no_kubeconfig_is_told_in_plain_words() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["clusters: 5", "clusters: [", "- a"] {
            fs::write(file.path(), text).unwrap();
            let error = Access::Kubeconfig(file.path().to_owned()).connect().await.err().unwrap().to_string();
            let is_plain =
                ["invalid type", "missing field", "expected a", "struct"].iter().all(|word| !error.contains(word));
            assert!(is_plain && error.contains("it is not a kubeconfig"), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn a_pipe_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let refused = async |file: PathBuf| Access::Kubeconfig(file).connect().await.err().unwrap().to_string();
        assert!(refused(path("pipe")).await.contains("not a regular file"));
        for (cluster, user) in [
            ("certificate-authority: pipe", ""),
            ("", "client-certificate: pipe"),
            ("", "client-key: pipe"),
            ("", "tokenFile: pipe"),
        ] {
            let text = format!(
                "clusters: [{{name: a, cluster: {{server: 'https://127.0.0.1:1', {cluster}}}}}]\nusers: [{{name: a, user: \
                 {{{user}}}}}]\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\ncurrent-context: a\n"
            );
            fs::write(path("config"), text).unwrap();
            let error = refused(path("config")).await;
            assert!(error.contains("/pipe: it is not a regular file"), "{cluster} {user}: {error}");
        }
    }
}
