//! From credentials in files to a client.

use std::io;
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::error::{Error, chain};
use files::check_regular;

/// Where a pod finds the token of its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Stands in a kubeconfig that names no proxy. Otherwise kube would take one from the environment of whatever runtime calls
/// us: a proxy for images, which leads to no API server.
const NO_PROXY: &str = "http://no-proxy.invalid/";

/// Where the server's address and our credentials are.
pub(super) enum Access {
    /// In a file, as on a node.
    Kubeconfig(PathBuf),
    /// Where Kubernetes puts them into a pod.
    ServiceAccount,
}

/// A client, and what errors name.
pub(super) struct Connection {
    pub(super) client: Client,
    /// The server's URL.
    pub(super) server: String,
    /// The file the token is in.
    pub(super) token: PathBuf,
}

impl Access {
    /// Inside a pod that has a service account.
    pub(super) fn of_service_account() -> Option<Self> {
        let inside = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(SERVICE_ACCOUNT).exists();
        inside.then_some(Self::ServiceAccount)
    }

    /// The file that errors name.
    pub(super) fn file(&self) -> &Path {
        match self {
            Self::Kubeconfig(file) => file,
            Self::ServiceAccount => Path::new(SERVICE_ACCOUNT),
        }
    }

    /// A client, and what errors name. Reads the files, connects nothing yet.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        let mut config = self.config().await.map_err(|why| self.unusable(why))?;
        config.connect_timeout = Some(limits::KUBERNETES_ANSWER);
        // Asked again by us, who know how long to go on and what the last answer was.
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let token_file = config.auth_info.token_file.as_ref().filter(|_| config.auth_info.token.is_none());
        let token = token_file.map_or_else(|| self.file().to_owned(), PathBuf::from);
        let client = Client::try_from(config).map_err(|error| self.unusable(chain(&error)))?;
        Ok(Connection { client, server, token })
    }

    /// Whether the files could be used. Connects nothing, and runs no program that would fetch a token.
    pub(super) async fn check(&self) -> Result<(), Error> {
        let config = self.config().await.map_err(|why| self.unusable(why))?;
        if config.auth_info.exec.is_none() {
            Client::try_from(config).map_err(|error| self.unusable(chain(&error)))?;
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
                let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
                let mut config = config.map_err(explain_file)?;
                if config.proxy_url.as_ref().is_some_and(|proxy| *proxy == NO_PROXY) {
                    config.proxy_url = None;
                }
                Ok(config)
            }
            Self::ServiceAccount => Config::incluster().map_err(|error| chain(&error)),
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
        error => chain(&error),
    }
}

/// Whether each file that a kubeconfig names would be read to its end: the library would wait for a pipe forever.
fn check_files(kubeconfig: &Kubeconfig) -> Result<(), String> {
    let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
    let mut files: Vec<&String> = clusters.filter_map(|cluster| cluster.certificate_authority.as_ref()).collect();
    for user in users {
        files.extend([&user.client_certificate, &user.client_key, &user.token_file].into_iter().flatten());
    }
    for file in files {
        match check_regular(Path::new(file)) {
            // Only the context that is used has to have its files: what is missing is for the library to say.
            Err(error) if error.kind() == io::ErrorKind::Other => return Err(format!("{file}: {error}")),
            _ => {}
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
