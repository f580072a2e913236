//! The store beside what runs: lost, rolled back or damaged, it is rebuilt from what libcni knows, and no address of a living
//! container is ever given out again. And what an operator releases by hand is what was shown, and nothing that lives.

mod fsck;
mod node;
mod pods;
mod rebuild;
mod release;
mod renames;

use node::Node;
