//! What a runtime says in the environment: the verb and the container.
//!
//! | variable        | ADD, CHECK | DEL | GC  | STATUS, VERSION |
//! |-----------------|------------|-----|-----|-----------------|
//! | CNI_CONTAINERID | yes        | yes |     |                 |
//! | CNI_NETNS       | yes        |     |     |                 |
//! | CNI_IFNAME      | yes        | yes |     |                 |
//! | CNI_PATH        | yes        | yes | yes |                 |
//!
//! An empty variable is a missing one. The network namespace is never opened, so it need not exist (any more).

use std::ffi::OsString;
use std::fmt;

use super::args::Args;
use super::error::Error;
use super::{NAME, is_name};
use ipam::Attachment;

/// What a runtime may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Give an attachment its addresses.
    Add,
    /// Take its addresses back.
    Del,
    /// Are they still as they were given?
    Check,
    /// Take back what attachments hold that no longer exist.
    Gc,
    /// Could an ADD work?
    Status,
    /// Which versions of the specification are spoken?
    Version,
}

/// A verb with what it needs of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The only verb that listens to `CNI_ARGS`.
    Add(Container, Args),
    Del(Container),
    Check(Container),
    Gc,
    Status,
    Version,
}

/// An interface of a container. Both names are as the specification wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub interface: String,
}

impl Container {
    /// Its attachment to a network.
    pub fn attachment(&self, network: &str) -> Attachment {
        Attachment { network: network.to_owned(), container: self.id.clone(), interface: self.interface.clone() }
    }
}

impl Call {
    /// Read the environment. `None` when there is no `CNI_COMMAND`: somebody tries us by hand.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, Error> {
        let environment = Environment(variable);
        let Some(command) = environment.get("CNI_COMMAND")? else { return Ok(None) };
        let verb = Verb::parse(&command)?;
        // All that is missing is told at once: whoever tries the plugin by hand would learn of one after the other.
        let missing = environment.missing(verb.needs());
        if !missing.is_empty() {
            return Err(Error::MissingVariables { verb, variables: missing });
        }
        Ok(Some(match verb {
            Verb::Add => Self::Add(environment.container()?, environment.args()?),
            Verb::Del => Self::Del(environment.container()?),
            Verb::Check => Self::Check(environment.container()?),
            Verb::Gc => Self::Gc,
            Verb::Status => Self::Status,
            Verb::Version => Self::Version,
        }))
    }

    /// Which verb it is.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Add(..) => Verb::Add,
            Self::Del(_) => Verb::Del,
            Self::Check(_) => Verb::Check,
            Self::Gc => Verb::Gc,
            Self::Status => Verb::Status,
            Self::Version => Verb::Version,
        }
    }
}

impl Verb {
    const ALL: [Self; 6] = [Self::Add, Self::Del, Self::Check, Self::Gc, Self::Status, Self::Version];

    fn parse(command: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|verb| verb.as_str() == command);
        known.ok_or_else(|| Error::Variable {
            variable: "CNI_COMMAND",
            value: command.to_owned(),
            expected: "ADD, DEL, CHECK, GC, STATUS or VERSION",
        })
    }

    /// As a runtime writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Add | Self::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
            Self::Del => &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
            Self::Gc => &["CNI_PATH"],
            Self::Status | Self::Version => &[],
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Looks variables up. An empty one counts as missing.
struct Environment<F>(F);

impl<F: Fn(&str) -> Option<OsString>> Environment<F> {
    fn find(&self, variable: &str) -> Option<OsString> {
        (self.0)(variable).filter(|value| !value.is_empty())
    }

    fn missing(&self, needed: &[&'static str]) -> Vec<&'static str> {
        needed.iter().copied().filter(|variable| self.find(variable).is_none()).collect()
    }

    fn get(&self, variable: &'static str) -> Result<Option<String>, Error> {
        let Some(value) = self.find(variable) else { return Ok(None) };
        match value.into_string() {
            Ok(value) => Ok(Some(value)),
            Err(value) => {
                let value = value.to_string_lossy().into_owned();
                Err(Error::Variable { variable, value, expected: "UTF-8" })
            }
        }
    }

    fn container(&self) -> Result<Container, Error> {
        let id = self.get("CNI_CONTAINERID")?.unwrap_or_default();
        if !is_name(&id) {
            return Err(Error::Variable { variable: "CNI_CONTAINERID", value: id, expected: NAME });
        }
        let interface = self.get("CNI_IFNAME")?.unwrap_or_default();
        if !is_interface_name(&interface) {
            return Err(Error::Variable { variable: "CNI_IFNAME", value: interface, expected: INTERFACE_NAME });
        }
        Ok(Container { id, interface })
    }

    fn args(&self) -> Result<Args, Error> {
        match self.get("CNI_ARGS")? {
            Some(args) => Args::parse(&args),
            None => Ok(Args::default()),
        }
    }
}

const INTERFACE_NAME: &str = "1 to 15 bytes without '/', ':' and white space, and not '.' or '..'";

/// What the kernel takes for an interface's name.
fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fail;

    const FULL: [(&str, &str); 5] = [
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/does/not/exist"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_PATH", "/opt/cni/bin"),
        ("CNI_ARGS", ""),
    ];

    fn read(command: &str, without: &[&str], with: &[(&str, &str)]) -> Result<Option<Call>, String> {
        let changed = with.iter().chain(FULL.iter().filter(|(name, _)| !without.contains(name)));
        let all: Vec<_> = changed.copied().chain([("CNI_COMMAND", command)]).collect();
        Call::read(|name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into()))
            .map_err(|error| format!("{} {error}", error.code()))
    }

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let everything = FULL.map(|(name, _)| name);
        let missing = |verb| read(verb, &everything, &[]).unwrap_err();
        let all = "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_PATH";
        assert_eq!(missing("ADD"), format!("4 the environment lacks {all}, which ADD needs"));
        assert_eq!(missing("CHECK"), format!("4 the environment lacks {all}, which CHECK needs"));
        assert_eq!(missing("DEL"), "4 the environment lacks CNI_CONTAINERID, CNI_IFNAME, CNI_PATH, which DEL needs");
        assert_eq!(missing("GC"), "4 the environment lacks CNI_PATH, which GC needs");
    }

    #[test]
    fn some_verbs_get_by_without() {
        let everything = FULL.map(|(name, _)| name);
        assert_eq!(read("STATUS", &everything, &[]), Ok(Some(Call::Status)));
        assert_eq!(read("VERSION", &everything, &[]), Ok(Some(Call::Version)));
        assert_eq!(Call::read(|_| None).unwrap(), None);
        let container = Container { id: "c1".to_owned(), interface: "eth0".to_owned() };
        assert_eq!(read("DEL", &["CNI_NETNS"], &[]), Ok(Some(Call::Del(container.clone()))));
        assert_eq!(read("DEL", &[], &[("CNI_NETNS", "")]), Ok(Some(Call::Del(container))));
    }

    #[test]
    fn malformed_values_are_named() {
        let error = |name, value| read("ADD", &[], &[(name, value)]).unwrap_err();
        assert_eq!(
            error("CNI_CONTAINERID", "a/b"),
            "4 CNI_CONTAINERID is \"a/b\": expected a letter or digit, then letters, digits, '_', '.' and '-', at most 256 bytes"
        );
        for bad in ["-a", "_a", "a b", "ä", "../x"] {
            assert!(error("CNI_CONTAINERID", bad).contains(bad), "{bad}");
        }
        for bad in [".", "..", "a/b", "a:b", "a b", "a\tb", "sixteen-bytes-xx"] {
            assert!(error("CNI_IFNAME", bad).starts_with("4 CNI_IFNAME is"), "{bad}");
        }
        assert!(read("ADD", &[], &[("CNI_IFNAME", "fifteen-bytes-x")]).is_ok());
        assert!(read("add", &[], &[]).unwrap_err().starts_with("4 CNI_COMMAND is \"add\": expected ADD, DEL"));
    }

    #[test]
    fn only_add_listens_to_the_arguments() {
        let nonsense = [("CNI_ARGS", "nonsense")];
        assert!(read("ADD", &[], &nonsense).unwrap_err().starts_with("4 CNI_ARGS is \"nonsense\""));
        assert!(read("DEL", &[], &nonsense).is_ok());
        assert!(read("CHECK", &[], &nonsense).is_ok());
    }
}
