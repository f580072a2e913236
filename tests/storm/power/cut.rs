//! What a power cut leaves of a disk: everything up to the last flush, and of what came after, anything.

use super::disk::{Kind, Order};
use crate::draw::Draw;

/// The smallest piece that a disk writes as a whole.
const SECTOR: usize = 512;
/// The piece that a file system without a journal hopes for: nobody puts half of its tables together again.
const BLOCK: usize = 4096;

/// How a disk treats what it has not flushed.
#[derive(Clone, Copy, Debug)]
enum Cache {
    /// All of it is gone.
    Forgotten,
    /// So many writes of eight are there, whole.
    Some(u64),
    /// So many pieces of eight are there, of whichever write.
    Torn(u64),
    /// All of it is there: the process or the kernel ended, and not the disk.
    Kept,
}

/// The disk after a cut behind this many orders.
pub(crate) fn cut(empty: &[u8], orders: &[Order], at: usize, kind: Kind, draw: &mut Draw) -> Vec<u8> {
    let mut image = empty.to_vec();
    let flushed = orders[..at].iter().rposition(|order| matches!(order, Order::Flush)).unwrap_or(0);
    for order in &orders[..flushed] {
        if let Order::Write { at, bytes } = order {
            put(&mut image, *at, bytes);
        }
    }
    let cache = match draw.below(8) {
        0 => Cache::Forgotten,
        1 => Cache::Kept,
        2..5 => Cache::Some(1 + draw.below(7)),
        _ => Cache::Torn(1 + draw.below(7)),
    };
    let piece = if kind == Kind::Journal { SECTOR } else { BLOCK };
    for order in &orders[flushed..at] {
        if let Order::Write { at, bytes } = order {
            survive(&mut image, *at, bytes, cache, piece, draw);
        }
    }
    image
}

fn survive(image: &mut [u8], at: u64, bytes: &[u8], cache: Cache, piece: usize, draw: &mut Draw) {
    match cache {
        Cache::Forgotten => {}
        Cache::Kept => put(image, at, bytes),
        Cache::Some(of_eight) => {
            if draw.below(8) < of_eight {
                put(image, at, bytes);
            }
        }
        Cache::Torn(of_eight) => {
            for (nth, part) in bytes.chunks(piece).enumerate() {
                if draw.below(8) < of_eight {
                    put(image, at + (nth * piece) as u64, part);
                }
            }
        }
    }
}

fn put(image: &mut [u8], at: u64, bytes: &[u8]) {
    let from = usize::try_from(at).unwrap();
    image[from..from + bytes.len()].copy_from_slice(bytes);
}
