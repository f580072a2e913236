//! Why nothing is reserved.

use std::path::PathBuf;

use cni::Fail;
use limits::Thousands;
use limits::store::RESERVED_AT_ONCE;

#[derive(Debug, thiserror::Error)]
pub(super) enum ReserveError {
    #[error(
        "{} addresses are too many: at most {} are reserved, or put back in circulation, at once",
        Thousands(u64::try_from(*.count).unwrap_or(u64::MAX)),
        Thousands(RESERVED_AT_ONCE as u64)
    )]
    TooMany { count: u128 },
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path}, line {line}: {problem}", path = .path.display())]
    Line { path: PathBuf, line: usize, problem: String },
    #[error("{path} lists no address", path = .path.display())]
    EmptyList { path: PathBuf },
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl Fail for ReserveError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooMany { .. } => {
                "each reserved address has a record; a larger part of a subnet is better listed in \"exclude\" in the network's \
                 configuration, which costs nothing"
                    .to_owned()
            }
            Self::Unreadable { .. } => "name a file with one address, range or subnet on each line".to_owned(),
            Self::Line { .. } => {
                "a line has an address, a range (first-last) or a subnet, then a blank, a comma or a semicolon and the reason".to_owned()
            }
            Self::EmptyList { .. } => {
                "to end every reservation of a list, `kube-ipam unreserve --list NAME`".to_owned()
            }
            Self::Store(error) => return error.hint(),
        })
    }
}
