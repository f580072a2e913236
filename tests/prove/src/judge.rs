//! What must hold whatever happens: by what containers were told and by when they ended, whatever the store says.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use store::memory::Memory;
use store::ordered::{OrderedMap, Read, View, Write};

use crate::sim::at_once;

/// What is known of containers without asking the store.
#[derive(Clone, Default)]
pub struct Judge {
    /// Containers that were told an address and have not ended.
    pub living: BTreeMap<String, IpAddr>,
    /// Containers that their runtime knows: from the beginning of their first ADD to the beginning of their first DEL.
    pub known: BTreeSet<String>,
    /// Containers of which a DEL has succeeded.
    pub released: BTreeSet<String>,
    /// Every container that ever asked.
    pub all: BTreeSet<String>,
    /// Who may have an address of whom while both live: former and newer container.
    pub cedes: BTreeSet<(String, String)>,
    /// Whether a commit may land when nobody waits for it any more.
    pub is_anything_astray: bool,
    /// How many containers may live with an address at once, where a policy has a limit.
    pub most: Option<usize>,
    /// Whether holds are over by now.
    pub has_time_passed: bool,
    /// The addresses that pods may get.
    pub offered: BTreeSet<IpAddr>,
    /// The keys of addresses that are held or on hold.
    occupied: BTreeSet<String>,
    /// For each process that makes an ADD, the addresses that were free throughout.
    free: BTreeMap<usize, BTreeSet<IpAddr>>,
}

impl Judge {
    /// What of it the end of a schedule is judged by.
    pub fn hash_end(&self, hasher: &mut impl Hasher) {
        (&self.living, &self.released, &self.all, &self.cedes, self.is_anything_astray).hash(hasher);
    }

    /// A process asks for an address from now on.
    pub fn add_begins(&mut self, process: usize, container: &str) {
        self.known.insert(container.to_owned());
        self.all.insert(container.to_owned());
        self.released.remove(container);
        self.free.insert(process, self.free_now());
    }

    /// The addresses that were free from the beginning of the process's ADD until now.
    pub fn add_ends(&mut self, process: usize) -> BTreeSet<IpAddr> {
        self.free.remove(&process).unwrap_or_default()
    }

    /// A container was told an address. Returns what is wrong with that.
    pub fn told(&mut self, container: &str, address: IpAddr, memory: &Memory) -> Option<String> {
        for (other, theirs) in &self.living {
            if *theirs != address || other == container {
                continue;
            }
            if !self.cedes.contains(&(other.clone(), container.to_owned())) {
                return Some(format!("{container} was told {address}, which {other} was told and uses"));
            }
        }
        self.living.insert(container.to_owned(), address);
        if self.most.is_some_and(|most| self.living.len() > most) {
            return Some(format!("{} containers have an address, and the limit is less", self.living.len()));
        }
        self.lost(address, memory)
    }

    /// The container's runtime begins its DEL: it uses its address no longer.
    pub fn ends(&mut self, container: &str) {
        self.living.remove(container);
        self.known.remove(container);
    }

    /// The store has changed. Returns which promise that breaks.
    pub fn changed(&mut self, writes: &[Write], memory: &Memory) -> Option<String> {
        let mut touched = BTreeSet::new();
        for write in writes {
            let Some(address) = address_in(write.key()) else { continue };
            let key = write.key().to_owned();
            let stays = match write {
                Write::Put(..) => true,
                Write::Delete(_) => false,
                Write::DeleteIf(..) => value(memory, &key).is_some(),
            };
            if stays {
                self.occupied.insert(key);
            } else {
                self.occupied.remove(&key);
            }
            touched.insert(address);
        }
        if touched.is_empty() {
            return None;
        }
        let free = self.free_now();
        for since in self.free.values_mut() {
            since.retain(|address| free.contains(address));
        }
        touched.into_iter().find_map(|address| self.lost(address, memory))
    }

    /// Whoever lives with an address is named by its record, as holder or as the one who gets it back.
    fn lost(&self, address: IpAddr, memory: &Memory) -> Option<String> {
        for (container, theirs) in &self.living {
            if *theirs != address {
                continue;
            }
            let id = container.split('@').next().unwrap_or_default();
            let is_named = self.occupied.iter().any(|key| {
                is_held(key)
                    && address_in(key) == Some(address)
                    && value(memory, key)
                        .is_some_and(|value| String::from_utf8_lossy(&value).contains(&format!("\"{id}\"")))
            });
            if !is_named {
                return Some(format!("{container} lives with {address}, and no record of the address names it"));
            }
        }
        None
    }

    fn free_now(&self) -> BTreeSet<IpAddr> {
        let occupied: BTreeSet<IpAddr> = self.occupied.iter().filter_map(|key| address_in(key)).collect();
        self.offered.difference(&occupied).copied().collect()
    }
}

fn value(memory: &Memory, key: &str) -> Option<Vec<u8>> {
    let mut view = at_once(memory.view()).ok()?;
    at_once(view.read(&[Read::Get(key.to_owned())])).ok()?.pop()?.into_entry().map(|entry| entry.value)
}

fn is_held(key: &str) -> bool {
    key.contains("/a/4/")
}

/// The address that a key of an allocation or of a hold is about.
fn address_in(key: &str) -> Option<IpAddr> {
    let digits = key.split_once("/a/4/").or_else(|| key.split_once("/h/4/"))?.1;
    Some(Ipv4Addr::from(u32::from_str_radix(digits, 16).ok()?).into())
}
