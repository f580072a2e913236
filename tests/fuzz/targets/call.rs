//! A call as a runtime makes it: any bytes on stdin, and variables of the environment, through all that every verb and an ADD
//! read of them. A panic is a finding, and so is a refusal that does not fit into an event or says nothing.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use cni::{Args, Call, Fail, Failure, NetConf};
use kube_ipam::config::{Base, Network};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use limits::EVENT;

/// Bytes of variables may be no text at all.
#[derive(Arbitrary, Debug)]
struct Input<'a> {
    verb: u8,
    container: &'a [u8],
    interface: &'a [u8],
    args: &'a [u8],
    stdin: &'a [u8],
}

const VERBS: [&str; 7] = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", "add"];

fuzz_target!(|input: Input<'_>| {
    let args = read_environment(&input);
    read_configuration(input.stdin, &args);
});

fn read_environment(input: &Input<'_>) -> Args {
    let called = Call::read(|name| match name {
        "CNI_COMMAND" => Some(VERBS[usize::from(input.verb) % VERBS.len()].into()),
        "CNI_CONTAINERID" => Some(OsString::from_vec(input.container.to_vec())),
        "CNI_IFNAME" => Some(OsString::from_vec(input.interface.to_vec())),
        "CNI_ARGS" => Some(OsString::from_vec(input.args.to_vec())),
        "CNI_NETNS" => Some("/var/run/netns/x".into()),
        "CNI_PATH" => Some("/opt/cni/bin".into()),
        _ => None,
    });
    match called {
        Ok(Some(Call::Add(_, args))) => args,
        Ok(_) => Args::default(),
        Err(error) => {
            assert_tellable(&error);
            Args::default()
        }
    }
}

/// All that the verbs read, whatever of it is refused.
fn read_configuration(bytes: &[u8], args: &Args) {
    NetConf::version_to_answer_in(bytes);
    let netconf = match NetConf::parse(bytes) {
        Ok(netconf) => netconf,
        Err(error) => return assert_tellable(&error),
    };
    if let Err(error) = netconf.previous().and_then(|previous| previous.addresses()) {
        assert_tellable(&error);
    }
    if let Err(error) = netconf.valid_attachments() {
        assert_tellable(&error);
    }
    if let Err(error) = Base::read(&netconf) {
        assert_tellable(&error);
    }
    Network::errors(&netconf).iter().for_each(assert_tellable);
    if let Err(error) = Network::read(&netconf, args) {
        assert_tellable(&error);
    }
}

/// Without a hint nobody knows what to do, and a control character may lead a terminal astray.
fn assert_tellable<E: Fail>(error: &E) {
    let Failure { msg, details, .. } = Failure::from(error);
    assert!(!details.is_empty(), "no hint: {msg}");
    assert!(msg.chars().count() + details.chars().count() <= EVENT, "too long for an event: {msg} {details}");
    assert!(!msg.chars().chain(details.chars()).any(char::is_control), "control characters: {msg:?} {details:?}");
}
