//! Until when the token of a node is valid, where it says so itself: a service account's does, being a JSON Web Token.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

use super::connect::Access;
use files::read_regular;
use limits::CLUSTER_NOTE_BYTES;

/// A token and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatedToken {
    /// The file that it is in.
    pub file: PathBuf,
    /// When it was issued, if it says so.
    pub since: Option<Timestamp>,
    pub until: Timestamp,
}

/// What a JSON Web Token says of its time, in seconds (RFC 7519, section 4.1).
#[derive(Deserialize)]
struct Times {
    exp: i64,
    iat: Option<i64>,
}

impl Access {
    /// `None` where there is no token, or where only the API server knows until when it is valid.
    pub(super) async fn dated_token(&self) -> Option<DatedToken> {
        let connection = self.connect().await.ok()?;
        let text = self.inline_token().or_else(|| {
            let bytes = read_regular(&connection.token, CLUSTER_NOTE_BYTES).ok()?;
            String::from_utf8(bytes).ok()
        })?;
        let Times { exp, iat } = times(text.trim())?;
        Some(DatedToken {
            file: connection.token,
            since: iat.and_then(|iat| Timestamp::from_second(iat).ok()),
            until: Timestamp::from_second(exp).ok()?,
        })
    }

    /// The token that the kubeconfig itself has. The library gives its secrets away only as it writes a kubeconfig.
    fn inline_token(&self) -> Option<String> {
        let Self::Kubeconfig(file) = self else { return None };
        let kubeconfig = kube::config::Kubeconfig::read_from(file).ok()?;
        let context = kubeconfig.current_context.as_ref()?;
        let named = kubeconfig.contexts.iter().find(|named| named.name == *context)?;
        let user = named.context.as_ref()?.user.as_ref()?;
        let info = kubeconfig.auth_infos.iter().find(|named| named.name == *user)?.auth_info.as_ref()?;
        let written = serde_json::to_value(info).ok()?;
        Some(written.get("token")?.as_str()?.to_owned())
    }
}

/// The signature is the API server's to judge.
fn times(token: &str) -> Option<Times> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn token(claims: &str) -> String {
        format!("eyJhbGciOiJSUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims))
    }

    #[tokio::test]
    async fn a_token_tells_its_time_in_the_kubeconfig_and_in_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("token"), token(r#"{"exp":2000,"iat":1000}"#) + "\n").unwrap();
        let inline = token(r#"{"exp":3000}"#);
        let file = path("token").display().to_string();
        for (user, at, since, until) in [
            (format!("tokenFile: {file}"), path("token"), Some(1_000), 2_000),
            (format!("token: {inline}"), path("config"), None, 3_000),
        ] {
            let text = format!(
                "clusters: [{{name: a, cluster: {{server: 'https://127.0.0.1:1'}}}}]\nusers: [{{name: a, user: {{{user}}}}}]\n\
                 contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\ncurrent-context: a\n"
            );
            fs::write(path("config"), text).unwrap();
            let dated = Access::Kubeconfig(path("config")).dated_token().await.unwrap();
            assert_eq!(
                (dated.file, dated.since.map(Timestamp::as_second), dated.until.as_second()),
                (at, since, until)
            );
        }
    }

    #[test]
    fn what_is_no_such_token_says_nothing() {
        for text in ["", "abcdef", "a.b", "a.b.c.d", &token("{}"), &token("x"), "a.%.c"] {
            assert!(times(text).is_none(), "{text}");
        }
    }
}
