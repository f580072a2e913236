//! Which networks a command works on.
//!
//! ```text
//!   --conf PATH    ──┐         --network NAME ──┐      ┌─ read_each    every network
//!   /etc/cni/net.d ──┴─ found ──────── --all ───┴──────┼─ read_books   one for each place where addresses are kept
//!                                                      └─ write_each,
//!                                                         write_books  as told, unless there is only one
//! ```
//!
//! What only reads may show too much, so that it shows all unless told otherwise. What writes is told which: whichever
//! network happens to come first must not decide whose addresses are released.

mod found;
mod opened;

use std::path::{Path, PathBuf};

use clap::Args;

use super::config::NETWORKS;
use super::output::CommandError;
use super::typed::typed_with;
use cni::Fail;
use ipam::Attachment;
use ipam::shown::first_of;

pub(crate) use found::FoundNetwork;
pub(crate) use opened::Opened;

/// How many networks an error names: all that a node has, as a rule.
const NAMED: usize = 6;

/// The options that say which networks a command works on.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NetworkArgs {
    /// Only the network of this name; may be given more than once
    #[arg(long = "network", value_name = "NAME", help_heading = "Which networks")]
    pub(super) names: Vec<String>,
    /// Every network. A command that only reads does so anyway; one that writes has to be told --network or --all where
    /// there are several
    #[arg(long, conflicts_with = "names", help_heading = "Which networks")]
    pub(super) all: bool,
    /// Look in this file or directory instead of /etc/cni/net.d: .conf, .conflist, or NetworkAttachmentDefinitions as YAML
    /// or JSON
    #[arg(long, value_name = "PATH", help_heading = "Which networks")]
    pub(super) conf: Option<PathBuf>,
}

/// Why it is not known which networks a command works on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("{message}")]
    Unusable { message: String, hint: Option<String> },
    #[error("{} has no network {name:?}, but {}", path.display(), first_of(known, NAMED, ", ", |name| format!("{name:?}")))]
    NoSuchNetwork { name: String, path: PathBuf, known: Vec<String> },
    #[error(
        "there are several networks in {}, and this command is about one: {}",
        path.display(),
        first_of(commands, NAMED, ", ", |(network, _)| network.clone())
    )]
    OneOnly {
        path: PathBuf,
        /// Each network, and the command for it.
        commands: Vec<(String, String)>,
    },
    #[error(
        "there are several networks in {}, and this command changes only what it is told to: {}",
        path.display(),
        first_of(commands, NAMED, ", ", |(network, _)| network.clone())
    )]
    WhichOne {
        path: PathBuf,
        /// Each network, and the command for it.
        commands: Vec<(String, String)>,
    },
}

impl Fail for NetworkError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unusable { hint, .. } => hint.clone(),
            Self::NoSuchNetwork { name, known, .. } => {
                let near = spelling::nearest(name, known.iter().map(String::as_str))?;
                Some(format!("did you mean --network {near}?"))
            }
            Self::OneOnly { commands, .. } => {
                let commands = first_of(commands, NAMED, ", ", |(_, command)| format!("`{command}`"));
                Some(format!("one of {commands}"))
            }
            Self::WhichOne { commands, .. } => {
                let commands = first_of(commands, NAMED, ", ", |(_, command)| format!("`{command}`"));
                Some(format!("one of {commands}; or --all for every network"))
            }
        }
    }
}

impl NetworkArgs {
    /// The networks of one file.
    pub(crate) fn of(file: &Path) -> Self {
        Self { conf: Some(file.to_owned()), ..Self::default() }
    }

    /// Whether any network was asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.conf.is_some() || self.is_told()
    }

    /// Whether the answer is a list, however many networks there happen to be.
    pub(crate) fn asks_for_several(&self) -> bool {
        self.all || self.names.len() > 1
    }

    fn is_told(&self) -> bool {
        self.all || !self.names.is_empty()
    }

    /// Whether an attachment is of one of the networks that were named, or of any where none was. A store has the attachments
    /// of other networks beside them, where they share a domain.
    pub(crate) fn covers(&self, attachment: &Attachment) -> bool {
        self.is_asked_for(&attachment.network)
    }

    /// The same file or directory, and only the networks of this name.
    pub(in crate::cli) fn named(&self, name: &str) -> Self {
        Self { names: vec![name.to_owned()], all: false, conf: self.conf.clone() }
    }

    /// Whether this network was named, or none was.
    pub(crate) fn is_asked_for(&self, network: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name == network)
    }

    pub(crate) fn path(&self) -> &Path {
        self.conf.as_deref().unwrap_or(Path::new(NETWORKS))
    }

    /// The networks that a command works on unless it writes: at least one.
    pub(crate) fn find(&self) -> Result<Vec<FoundNetwork>, NetworkError> {
        let found = found::networks_in(self.path(), self.conf.is_some())?;
        for name in &self.names {
            if !found.iter().any(|network| network.name == *name) {
                let mut known: Vec<String> = found.into_iter().map(|network| network.name).collect();
                known.dedup();
                return Err(NetworkError::NoSuchNetwork { name: name.clone(), path: self.path().to_owned(), known });
            }
        }
        let is_wanted = |network: &FoundNetwork| self.names.is_empty() || self.names.contains(&network.name);
        Ok(found.into_iter().filter(is_wanted).collect())
    }

    /// Every network, for a command that only reads. One that cannot be used does not hide the others, unless it was named.
    pub(crate) fn read_each(&self) -> Result<Vec<Opened>, CommandError> {
        let found = self.find()?;
        let (mut opened, mut failed) = (Vec::new(), None);
        for network in &found {
            match network.open() {
                Ok(network) => opened.push(network),
                Err(error) if found.len() == 1 || !self.names.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!("network {:?} in {} is left out: {error}", network.name, network.file);
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if opened.is_empty() => Err(error),
            _ => Ok(opened),
        }
    }

    /// One network for each place where addresses are kept, for a command that only reads. Networks that share a store and a
    /// domain share their records, which are not to be shown twice.
    pub(crate) fn read_books(&self) -> Result<Vec<Opened>, CommandError> {
        Ok(one_for_each_place(self.read_each()?))
    }

    /// Every network, for a command that writes to each by itself.
    pub(crate) fn write_each(&self) -> Result<Vec<Opened>, CommandError> {
        let opened = self.open_all()?;
        self.refuse_several(opened.iter().map(|network| &network.found))?;
        Ok(opened)
    }

    /// One network for each place where addresses are kept, for a command that writes there, whosever they are.
    pub(crate) fn write_books(&self) -> Result<Vec<Opened>, CommandError> {
        let opened = one_for_each_place(self.open_all()?);
        self.refuse_several(opened.iter().map(|network| &network.found))?;
        Ok(opened)
    }

    /// The one network, or one of several that keep their addresses together, for a command about one such place.
    pub(crate) fn one_book(&self) -> Result<Opened, CommandError> {
        let mut books = one_for_each_place(self.open_all()?);
        if books.len() == 1 {
            return Ok(books.remove(0));
        }
        let mut commands = Vec::new();
        for Opened { found, .. } in &books {
            commands.push((found.title(), typed_with(&found.option)));
        }
        Err(NetworkError::OneOnly { path: self.path().to_owned(), commands }.into())
    }

    /// A network that cannot be used may keep its addresses where others do, so that nothing is written without it.
    fn open_all(&self) -> Result<Vec<Opened>, CommandError> {
        self.find()?.iter().map(FoundNetwork::open).collect()
    }

    /// Fails where there are several to choose from and nobody chose.
    pub(crate) fn refuse_several<'a>(
        &self,
        networks: impl IntoIterator<Item = &'a FoundNetwork>,
    ) -> Result<(), NetworkError> {
        let mut commands = Vec::new();
        for network in networks {
            commands.push((network.title(), typed_with(&network.option)));
        }
        if commands.len() == 1 || self.is_told() {
            return Ok(());
        }
        Err(NetworkError::WhichOne { path: self.path().to_owned(), commands })
    }
}

fn one_for_each_place(networks: Vec<Opened>) -> Vec<Opened> {
    let mut books: Vec<Opened> = Vec::new();
    for opened in networks {
        if !books.iter().any(|known| known.keeps_with(&opened)) {
            books.push(opened);
        }
    }
    books
}
