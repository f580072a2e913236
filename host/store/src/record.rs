//! Records between bytes and meaning. Each says whose it is, by itself or by its key, and is checked after every read.
//! `written.rs` has the table of what stands in them.

mod written;

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use super::error::StoreError;
use super::keys::{Keys, Named, seconds_until};
use super::ordered::{Entry, Guard};
use ipam::{Allocation, Assignment, Claim, Holder, Reservation};

/// An address that nobody has, and that is on hold for an identity, or only cools down, until a time; or one that is
/// reserved, which is a hold for nobody and without an end: where claims look for holds, they find reservations with no
/// further read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub address: IpAddr,
    /// The identity that may have it meanwhile; `None` where it only cools down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// From this moment on the address is free, and the record only waits to be replaced. Of a reservation it is
    /// [`Hold::NEVER`].
    pub until: Timestamp,
    /// Why an operator has taken the address out of circulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Box<Reservation>>,
}

impl Hold {
    /// How an address that only cools down is named to policies and people.
    pub const COOLING_DOWN: &str = "(cooling down)";

    /// The end of what has none: the last second there is. A version that knows no reservations takes one for a cool-down
    /// that ends then, and leaves it alone. Nothing else ends in that second, so that the index of when holds end has all
    /// reservations side by side.
    pub const NEVER: Timestamp = Timestamp::constant(253_402_207_200, 0);

    pub(crate) fn of_reservation(address: IpAddr, reservation: Reservation) -> Self {
        Self { address, identity: None, until: Self::NEVER, reservation: Some(Box::new(reservation)) }
    }

    /// What an address on hold waits for, and until when, behind "it is" or a colon.
    pub fn describe(identity: &str, until: Timestamp) -> String {
        if identity == Self::COOLING_DOWN {
            return format!("cooling down until {until}");
        }
        format!("on hold for {identity:?} until {until}")
    }

    /// Whether its time is not over, so that it still keeps the address from others. That of a reservation never is,
    /// whatever the clock says.
    pub fn is_standing(&self, now: Timestamp) -> bool {
        self.reservation.is_some() || now < self.until
    }

    /// The holder that policies and people are told of; `None` once the hold is over.
    pub(crate) fn holder(&self, now: Timestamp) -> Option<Holder> {
        if !self.is_standing(now) {
            return None;
        }
        if let Some(reservation) = &self.reservation {
            return Some(Holder::Reservation(reservation.clone()));
        }
        let identity = self.identity.clone().unwrap_or_else(|| Self::COOLING_DOWN.to_owned());
        Some(Holder::Hold { identity, until: self.until })
    }

    /// Whether the hold does not stand in the way of an assignment: its time is over, or it is for the same identity.
    pub(crate) fn ends_for(&self, assignment: &Assignment, now: Timestamp) -> bool {
        if self.reservation.is_some() {
            return false;
        }
        let wanted = assignment.hold.as_ref().map(|hold| hold.identity.as_str());
        !self.is_standing(now) || (wanted.is_some() && wanted == self.identity.as_deref())
    }
}

/// Why nobody has the address, behind "it is" or a colon.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reservation {
            Some(reservation) => reservation.fmt(f),
            None => f.write_str(&Self::describe(self.identity.as_deref().unwrap_or(Self::COOLING_DOWN), self.until)),
        }
    }
}

/// A record together with the bytes that were read, which are what a guard compares.
#[derive(Clone, Debug)]
pub(crate) struct Seen<T> {
    key: String,
    bytes: Vec<u8>,
    pub(crate) record: T,
}

/// A record that can be written down.
pub(crate) trait AtRest {
    /// Equal records are equal bytes: what one process writes, another can expect to the byte.
    fn to_bytes(&self) -> Vec<u8>;
}

/// A record that knows which key it belongs under.
pub(crate) trait Keyed: AtRest + Sized {
    /// The record under this name, or what is wrong with it, in words.
    fn read(named: &Named, value: &[u8]) -> Result<Self, String>;
}

impl Keyed for Allocation {
    fn read(named: &Named, value: &[u8]) -> Result<Self, String> {
        let held = written::read_allocation(value)?;
        if *named == Named::Address(held.address) { Ok(held) } else { Err(format!("it is about {}", held.address)) }
    }
}

impl Keyed for Claim {
    fn read(named: &Named, value: &[u8]) -> Result<Self, String> {
        let Named::Attachment(attachment) = named else { return Err("its key is not that of a claim".into()) };
        written::read_claim(attachment, value)
    }
}

impl AtRest for Hold {
    fn to_bytes(&self) -> Vec<u8> {
        json(self)
    }
}

impl Keyed for Hold {
    fn read(named: &Named, value: &[u8]) -> Result<Self, String> {
        let hold: Self = serde_json::from_slice(value).map_err(|error| what_is_wrong(&error))?;
        let is_here = match named {
            Named::Hold(address) => *address == hold.address,
            Named::Identity { identity, address } => {
                *address == hold.address && hold.identity.as_ref() == Some(identity)
            }
            Named::Expiry { seconds, address } => *address == hold.address && *seconds == seconds_until(hold.until),
            _ => false,
        };
        if is_here {
            return Ok(hold);
        }
        let identity = hold.identity.as_deref().unwrap_or("nobody");
        Err(format!("it is about {} for {identity}", hold.address))
    }
}

impl<T: Keyed> Seen<T> {
    /// Read a record and check it against its key.
    pub(crate) fn parse(keys: &Keys, entry: Entry) -> Result<Self, StoreError> {
        let Entry { key, value } = entry;
        // Two checks, as hands and other programs can do either: it can be read, and it is about what its key is about.
        let record = match keys.named(&key) {
            Some(named) => T::read(&named, &value),
            None => Err("its key has no meaning".into()),
        };
        match record {
            Ok(record) => Ok(Self { key, bytes: value, record }),
            Err(what) => Err(StoreError::Damaged { key, what }),
        }
    }

    /// The record, if it can be read; otherwise `None` and a line in the log, for reads that go on without it.
    pub(crate) fn readable(keys: &Keys, entry: Entry) -> Option<Self> {
        Self::parse(keys, entry).inspect_err(|error| tracing::warn!(%error, "skipped")).ok()
    }
}

impl<T> Seen<T> {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key still has exactly these bytes.
    pub(crate) fn guard(&self) -> Guard {
        Guard::Is(self.key.clone(), self.bytes.clone())
    }

    /// Another key still has exactly these bytes.
    pub(crate) fn guard_at(&self, key: String) -> Guard {
        Guard::Is(key, self.bytes.clone())
    }
}

/// The address in the value of a slot or a cursor, which is its text; `None` where it is anything else.
pub(crate) fn address_in_value(value: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// For an operator, who has not seen the types that records are decoded into.
pub(super) fn what_is_wrong(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => "it ends too early".to_owned(),
        Category::Data => format!("a field is missing or of another type (before character {})", error.column()),
        Category::Syntax | Category::Io => format!("it is not JSON (at character {})", error.column()),
    }
}

/// The bytes under a key.
pub(crate) fn encode<T: AtRest>(record: &T) -> Vec<u8> {
    record.to_bytes()
}

/// Fields in the order of their declaration.
pub(crate) fn json<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("our records have string keys and no part whose serialisation can fail")
}
