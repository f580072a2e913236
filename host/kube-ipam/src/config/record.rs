//! Which decisions are recorded, and where.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::error::Error;
use super::field::{Held, stated_object, wrong};
use super::policy::RECORD;
use cni::netconf::Record;
use cni::{PathOr, Stated};
use ipam::Attachment;
use limits::{RECORD_MIB, RECORD_MIB_MOST};

/// Where decisions are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordConfig {
    /// One line of JSON a decision.
    pub file: PathBuf,
    pub sample: Sample,
    /// A file of this size is put aside.
    pub most_bytes: u64,
}

/// A share of all attachments, always the same ones: all of what one attachment asks for is in it, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    parts: u64,
}

impl Sample {
    const WHOLE: u64 = 1 << 32;

    /// `None` unless it is from 0 to 1.
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self { parts: (share * Self::WHOLE as f64) as u64 })
    }

    /// Whether an attachment is one of the share. Every node says the same.
    pub fn takes(&self, attachment: &Attachment) -> bool {
        if self.parts == Self::WHOLE {
            return true;
        }
        let Attachment { network, container, interface } = attachment;
        let digest = Sha256::digest(format!("{network}/{container}/{interface}"));
        u64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])) < self.parts
    }
}

pub(super) fn read(written: &Stated<PathOr<Record>>) -> Result<Option<RecordConfig>, Error> {
    let fields = [RECORD, "ipam.policy.record.file"];
    let stated = stated_object(written, fields, "no decision is recorded", |file| Record {
        file: Some(file),
        ..Record::default()
    })?;
    let Some((path, record)) = stated else { return Ok(None) };
    let missing = Error::Missing { path: path.to_owned(), expected: "the file that decisions are recorded in" };
    let file = Held::given(path, record.file.as_ref()).ok_or(missing)?;
    let share = record.sample.unwrap_or(1.0);
    let Some(sample) = Sample::new(share) else {
        return Err(wrong("ipam.policy.record.sample", share, "a number from 0 to 1"));
    };
    // One older file is kept beside the file: on disk it is twice as much.
    let most = record.max_mib.unwrap_or(RECORD_MIB);
    if !(1..=RECORD_MIB_MOST).contains(&most) {
        return Err(wrong("ipam.policy.record.maxMiB", most, format!("1 to {RECORD_MIB_MOST} MiB")));
    }
    Ok(Some(RecordConfig { file: file.absolute_path()?, sample, most_bytes: most << 20 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_share_and_always_the_same() {
        let attachment = |n: usize| Attachment {
            network: "blue".to_owned(),
            container: format!("c{n}"),
            interface: "eth0".to_owned(),
        };
        let taken = |share: f64| -> Vec<usize> {
            let sample = Sample::new(share).unwrap();
            (0..10_000).filter(|&n| sample.takes(&attachment(n))).collect()
        };
        let tenth = taken(0.1);
        assert!((800..1_200).contains(&tenth.len()), "{}", tenth.len());
        assert_eq!(tenth, taken(0.1));
        let half = taken(0.5);
        assert!(tenth.iter().all(|n| half.contains(n)), "a larger sample has all of a smaller one");
        assert_eq!((taken(0.0).len(), taken(1.0).len()), (0, 10_000));
        assert_eq!([Sample::new(1.1), Sample::new(-0.1), Sample::new(f64::NAN)], [None; 3]);
    }
}
