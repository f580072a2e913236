//! What to reserve, why, and in whose name.

use std::path::PathBuf;

use clap::Args;

use crate::cli::operator::{ActArgs, parse_name, parse_reason, shortened};
use ipam::Span;
use ipam::shown::first_of;
use limits::store::RESERVED_BY_BYTES;

#[derive(Args, Debug)]
pub(crate) struct ReserveOptions {
    /// Addresses, ranges (10.0.0.10-10.0.0.20) or subnets (10.0.0.16/28)
    #[arg(value_name = "ADDRESS|RANGE|SUBNET", required_unless_present = "from")]
    pub(super) what: Vec<Span>,
    /// Why nobody gets them; with --from, for lines without a reason of their own
    #[arg(long, value_name = "TEXT", required_unless_present = "from", value_parser = parse_reason)]
    pub(super) reason: Option<String>,
    /// Reserve what this file lists, and put back in circulation what it listed before and no longer does. A line has an
    /// address, a range or a subnet, then a blank, a comma or a semicolon and the reason; a line that begins with "#" is a
    /// comment
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub(super) from: Option<PathBuf>,
    /// The name of the list; the next time it is read, only the reservations of that name change. Default: the name of the
    /// file
    #[arg(long, value_name = "NAME", requires = "from", value_parser = parse_name)]
    pub(super) list: Option<String>,
    /// Who reserves them. Default: KUBE_IPAM_OPERATOR, or else USER@NODE
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(super) by: Option<String>,
    /// Also reserve addresses on hold for an identity: its pod gets another address when it comes back
    #[arg(long)]
    pub(super) force: bool,
    /// Reserve without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Show what would be reserved, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UnreserveOptions {
    /// Addresses, ranges (10.0.0.10-10.0.0.20) or subnets (10.0.0.16/28): every reservation in them ends
    #[arg(value_name = "ADDRESS|RANGE|SUBNET", required_unless_present = "list")]
    pub(super) what: Vec<Span>,
    /// End every reservation of this list
    #[arg(long, value_name = "NAME", conflicts_with = "what")]
    pub(super) list: Option<String>,
    #[command(flatten)]
    pub(super) act: ActArgs,
    /// Put them back in circulation without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Show what would be put back in circulation, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl ReserveOptions {
    /// The list that the reservations belong to, where they are read from one.
    pub(super) fn list_name(&self) -> Option<String> {
        let file = self.from.as_ref()?;
        if let Some(list) = &self.list {
            return Some(list.clone());
        }
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        Some(shortened(&name, RESERVED_BY_BYTES))
    }

    /// The reason is that of each reservation.
    pub(super) fn act(&self) -> ActArgs {
        ActArgs { by: self.by.clone(), reason: None }
    }
}

impl UnreserveOptions {
    /// Where was looked, behind "nothing is reserved".
    pub(super) fn place(&self) -> String {
        match &self.list {
            Some(list) => format!("by list {list:?}"),
            None => format!("in {}", first_of(&self.what, 4, ", ", ToString::to_string)),
        }
    }
}
