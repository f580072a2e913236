//! Claims that no GC of this node finds: made under another name of this machine, or by another machine of this name.

use std::collections::BTreeMap;

use super::Store;
use super::error::StoreError;
use super::keys::{Named, node_digest};
use super::map::MapView;
use ipam::Attachment;

/// Claims of this machine or under this node's name, but not of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// By the name under which this machine made them.
    pub former_names: BTreeMap<String, StrayClaims>,
    /// By the machine that made them under this node's name; empty where that is not known.
    pub other_machines: BTreeMap<String, StrayClaims>,
}

/// How many claims there are under one name, at least one, and which for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayClaims {
    pub count: usize,
    /// The first of them, in the order of the index.
    pub example: Attachment,
}

impl Store {
    /// What GC on this node and machine leaves alone although it may be theirs. Reads the nodes' index, keys alone, and one
    /// claim for each name that it finds. A machine that is not known has no former names.
    pub async fn strays(&self, node: &str, machine: &str) -> Result<Strays, StoreError> {
        self.at_one_moment(async |mut view| {
            let mut strays = Strays::default();
            let own = node_digest(node);
            let mut pages = self.pages_of_keys(self.keys.nodes());
            while let Some(page) = pages.next(&mut view).await? {
                for entry in page {
                    if let Some(Named::Node { node: its_node, machine: its_machine, attachment }) =
                        self.keys.named(&entry.key)
                    {
                        strays.add((&own, machine), (its_node, its_machine), attachment);
                    }
                }
            }
            self.name_nodes(&mut view, &mut strays).await?;
            Ok(strays)
        })
        .await
    }

    /// Put the names of nodes in place of their digests, as their claims say them.
    async fn name_nodes(&self, view: &mut MapView, strays: &mut Strays) -> Result<(), StoreError> {
        let mut batch = self.batch();
        let mut tickets = Vec::with_capacity(strays.former_names.len());
        for (digest, found) in std::mem::take(&mut strays.former_names) {
            tickets.push((digest, batch.claim(&found.example), found));
        }
        let mut answers = batch.read(view).await?;
        for (digest, ticket, found) in tickets {
            // Where the claim cannot be read, the digest says at least that there is such a name.
            let name = answers.readable(ticket).map_or(digest, |claim| claim.record.node);
            strays.former_names.insert(name, found);
        }
        Ok(())
    }
}

impl Strays {
    fn add(&mut self, (node, machine): (&str, &str), its: (String, String), attachment: Attachment) {
        let (its_node, its_machine) = its;
        let (same_node, same_machine) = (its_node == node, its_machine == machine);
        if same_node && !same_machine {
            count(&mut self.other_machines, its_machine, attachment);
        } else if same_machine && !same_node && !machine.is_empty() {
            count(&mut self.former_names, its_node, attachment);
        }
    }
}

fn count(counted: &mut BTreeMap<String, StrayClaims>, name: String, attachment: Attachment) {
    counted.entry(name).or_insert(StrayClaims { count: 0, example: attachment }).count += 1;
}
