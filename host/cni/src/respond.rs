//! The one door out: nothing else writes to stdout, and what is written is one JSON document or nothing.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::Failure;
use super::result::Success;
use super::version::Version;

/// What the runtime is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// An ADD worked.
    Success(Version, Success),
    /// A verb without a result worked.
    Nothing,
    /// VERSION: which versions are spoken, in the version of the question.
    Versions(Version),
    /// It did not work.
    Failure(Version, Failure),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    cni_version: Version,
    supported_versions: [Version; 7],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed<'a> {
    cni_version: Version,
    #[serde(flatten)]
    failure: &'a Failure,
}

/// Answer on stdout. Gives the exit code: only `main` exits.
pub fn respond(response: &Response) -> u8 {
    write(&mut io::stdout().lock(), response)
}

fn write(out: &mut impl Write, response: &Response) -> u8 {
    let written = match response {
        Response::Nothing => return 0,
        Response::Versions(version) => {
            let supported_versions = Version::ALL;
            write_json(out, &Versions { cni_version: *version, supported_versions }).map(|()| 0)
        }
        Response::Success(version, success) => match success.in_version(*version) {
            Ok(rendered) => write_json(out, &rendered).map(|()| 0),
            // More addresses than the version has room for are refused before they are claimed; this is the second line.
            Err(error) => write_failure(out, *version, &Failure::from(&error)),
        },
        Response::Failure(version, failure) => write_failure(out, *version, failure),
    };
    // A runtime that closed its end has not heard of success; there is nobody left to explain that to.
    written.unwrap_or(1)
}

fn write_failure(out: &mut impl Write, cni_version: Version, failure: &Failure) -> io::Result<u8> {
    write_json(out, &Failed { cni_version, failure }).map(|()| 1)
}

/// In one piece, so that a reader never sees half of an answer.
fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    out.write_all(&serde_json::to_vec(value)?)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, code};

    fn written(response: &Response) -> (u8, String) {
        let mut out = Vec::new();
        let exit = write(&mut out, response);
        (exit, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_failure_is_json_with_the_version_of_the_question() {
        let error = Error::UnknownArgument("COLOUR".to_owned());
        let (exit, text) = written(&Response::Failure(Version::V0_4_0, Failure::from(&error)));
        assert_eq!(exit, 1);
        assert_eq!(
            text,
            r#"{"cniVersion":"0.4.0","code":4,"msg":"CNI_ARGS has the unknown key \"COLOUR\"","details":"runtimes that pass keys of their own also pass IgnoreUnknown=1"}"#
        );
    }

    #[test]
    fn a_verb_without_result_writes_not_one_byte() {
        assert_eq!(written(&Response::Nothing), (0, String::new()));
    }

    #[test]
    fn the_versions_are_listed() {
        let (exit, text) = written(&Response::Versions(Version::V1_0_0));
        assert_eq!(exit, 0);
        assert_eq!(
            text,
            r#"{"cniVersion":"1.0.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"#
        );
    }

    #[test]
    fn a_result_that_its_version_cannot_hold_is_a_failure() {
        let ip = super::super::Ip { address: "10.0.0.5".parse().unwrap(), prefix_length: 24, gateway: None };
        let success = Success { ips: vec![ip.clone(), ip], ..Success::default() };
        let (exit, text) = written(&Response::Success(Version::V0_1_0, success));
        assert_eq!(exit, 1);
        assert!(text.contains(&format!("\"code\":{}", code::UNSUPPORTED)), "{text}");
    }

    #[test]
    fn a_closed_stdout_is_a_failure_and_no_panic() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        assert_eq!(write(&mut Closed, &Response::Versions(Version::NEWEST)), 1);
        assert_eq!(write(&mut Closed, &Response::Success(Version::NEWEST, Success::default())), 1);
    }
}
