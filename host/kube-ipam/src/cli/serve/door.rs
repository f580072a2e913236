//! Who is let in.
//!
//! | where it listens | what a request needs |
//! |---|---|
//! | on this machine alone | a `Host` that means this machine |
//! | anywhere, with a token | the token, for everything but the page itself, which knows nothing |
//!
//! A page of somebody else's can make a browser on this machine call an address of this machine under a name of its own, which
//! it had resolve there (DNS rebinding). The browser then says that name in `Host`. Where a token is needed, such a page has
//! none: browsers send ours with no request by themselves.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{HeaderMap, Method, Request, Uri};
use subtle::ConstantTimeEq;

use super::ServeError;
use super::reply::Refused;
use limits::serve::{TOKEN, TOKEN_LEAST};

/// The one door of the server.
pub(super) struct Door {
    token: Option<Box<[u8]>>,
}

impl Door {
    pub(super) fn new(listen: SocketAddr, token_file: Option<&Path>) -> Result<Self, ServeError> {
        let Some(path) = token_file else {
            if listen.ip().is_loopback() {
                return Ok(Self { token: None });
            }
            return Err(ServeError::NoToken(listen));
        };
        let read = files::read_regular(path, TOKEN);
        let bytes = read.map_err(|source| ServeError::Token { path: path.to_owned(), source })?;
        let token = bytes.trim_ascii();
        if token.len() < TOKEN_LEAST {
            return Err(ServeError::ShortToken { path: path.to_owned() });
        }
        Ok(Self { token: Some(token.into()) })
    }

    /// Whether a request is answered at all. The page itself is for all who reach it: it has nothing to tell, and asks for the
    /// token.
    pub(super) fn admit<B>(&self, request: &Request<B>, is_page: bool) -> Result<(), Refused> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Refused::Method);
        }
        if has_body(request.headers()) {
            return Err(Refused::Body);
        }
        match &self.token {
            None if is_for_this_machine(request.headers(), request.uri()) => Ok(()),
            None => Err(Refused::Host),
            Some(_) if is_page => Ok(()),
            Some(token) if brings(request.headers(), token) => Ok(()),
            Some(_) => Err(Refused::Token),
        }
    }
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Compared in a time that depends on the lengths alone.
fn brings(headers: &HeaderMap, token: &[u8]) -> bool {
    let Some(told) = headers.get(AUTHORIZATION) else { return false };
    let told = told.as_bytes();
    let Some((scheme, brought)) = told.split_at_checked("Bearer ".len()) else { return false };
    scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(brought.trim_ascii().ct_eq(token))
}

/// Whichever port: `ssh -L` and `kubectl port-forward` have one of their own.
fn is_for_this_machine(headers: &HeaderMap, uri: &Uri) -> bool {
    let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
    let [host] = hosts[..] else { return false };
    // A request line may name another host than the header.
    let named = uri.authority().is_none_or(|authority| is_local(authority.as_str()));
    named && host.to_str().is_ok_and(is_local)
}

fn is_local(authority: &str) -> bool {
    let port = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    // Without its brackets an IPv6 address is not one with a port.
    let host = match port {
        Some((host, _)) if !host.contains(':') || host.ends_with(']') => host,
        _ => authority,
    };
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in ["127.0.0.1", "127.0.0.1:9099", "localhost", "LOCALHOST:1", "[::1]", "[::1]:9099", "127.9.9.9:80"] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            ":9099",
            "localhost.evil.example",
            "evil.example:9099",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[fd00::1]:1",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }

    fn admitted(door: &Door, host: &str, authorization: Option<&str>) -> Result<(), Refused> {
        let mut request = Request::get("/api/v1/ranges").header(HOST, host);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        door.admit(&request.body(()).unwrap(), false)
    }

    #[test]
    fn a_token_is_the_whole_token() {
        let door = Door { token: Some(b"0123456789abcdef".as_slice().into()) };
        assert_eq!(admitted(&door, "node-1", Some("Bearer 0123456789abcdef")), Ok(()));
        assert_eq!(admitted(&door, "node-1", Some("bearer 0123456789abcdef ")), Ok(()));
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdeg",
            "Bearer ",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "",
        ] {
            assert_eq!(admitted(&door, "127.0.0.1", Some(wrong)), Err(Refused::Token), "{wrong}");
        }
        assert_eq!(admitted(&door, "127.0.0.1", None), Err(Refused::Token));
    }

    #[test]
    fn without_a_token_a_name_of_somebody_elses_is_turned_away() {
        let door = Door::new("127.0.0.1:0".parse().unwrap(), None).unwrap();
        assert_eq!(admitted(&door, "127.0.0.1:9099", None), Ok(()));
        assert_eq!(admitted(&door, "evil.example", None), Err(Refused::Host));
        let request = Request::get("http://evil.example/api").header(HOST, "127.0.0.1").body(()).unwrap();
        assert_eq!(door.admit(&request, true), Err(Refused::Host));
        let post = Request::post("/api/v1/ranges").header(HOST, "127.0.0.1").body(()).unwrap();
        assert_eq!(door.admit(&post, false), Err(Refused::Method));
        let body = Request::get("/").header(HOST, "127.0.0.1").header(CONTENT_LENGTH, "5").body(()).unwrap();
        assert_eq!(door.admit(&body, true), Err(Refused::Body));
        assert!(matches!(Door::new("0.0.0.0:0".parse().unwrap(), None), Err(ServeError::NoToken(_))));
    }
}
