//! `kube-ipam policy case`: a recorded decision as a case for `policy test`.

use std::path::PathBuf;

use clap::Args;

use crate::lab::case::Case;
use engine::text::tame;
use kube_ipam::cli::output::{Done, Hinted, Output};
use kube_ipam::journal::{Damaged, Lines};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// A record of decisions, as policy.record writes it
    #[arg(value_name = "RECORD")]
    record: PathBuf,
    /// Which of its decisions, counted from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    nth: u32,
}

/// There is no such decision.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("{}: {cause}", .record.display())]
    File { record: PathBuf, cause: std::io::Error },
    #[error("{}: {damaged}", .record.display())]
    Damaged { record: PathBuf, damaged: Damaged },
    #[error("{} has no {nth}. decision", .record.display())]
    TooFew { record: PathBuf, nth: u32 },
}

impl Hinted for Unread {}

pub(crate) fn case(options: &Options) -> Done {
    let Options { record, nth } = options;
    let unread = |cause| Unread::File { record: record.clone(), cause };
    let line = Lines::of_file(record).map_err(unread)?.nth(*nth as usize - 1);
    let decision = line.ok_or_else(|| Unread::TooFew { record: record.clone(), nth: *nth })?.map_err(unread)?;
    let decision = decision.map_err(|damaged| Unread::Damaged { record: record.clone(), damaged })?;
    let mut text = Case::of(&decision).to_yaml();
    if decision.request.attempt > 0 {
        text.insert_str(0, "# The races lost before this decision are not part of the case.\n");
    }
    if !decision.left_out.is_empty() {
        text.insert_str(
            0,
            &format!("# Annotations left out of the record: {}\n", tame(&decision.left_out.join(", "), u64::MAX)),
        );
    }
    Ok(Output::text(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::lab::case::CaseFile;

    fn decision(pod: &str, attempt: u32) -> Value {
        json!({
            "at": "2026-01-01T00:00:00Z",
            "policy": {"name": "range-fixed", "sha256": "ab"},
            "settings": {},
            "request": {
                "attachment": {"network": "blue", "container": "c1", "interface": "eth0"},
                "node": "node-7",
                "pod": {"namespace": "shop", "name": pod},
                "rangeSets": {"ranges": [[{"subnet": "10.1.0.0/24"}]]},
                "attempt": attempt
            },
            "snapshot": {"known": ["10.1.0.2-10.1.0.9"], "held": []},
            "answer": {"fault": "it trapped"},
            "leftOut": if attempt > 0 { json!(["a/b"]) } else { json!([]) }
        })
    }

    #[test]
    fn any_decision_of_a_record_is_a_case() {
        let directory = tempfile::tempdir().unwrap();
        let record = directory.path().join("record");
        std::fs::write(&record, format!("{}\n{}\n{{\n", decision("web-0", 0), decision("web-1", 2))).unwrap();
        let told = |nth| case(&Options { record: record.clone(), nth });
        let text = told(2).unwrap().text;
        assert!(text.starts_with("# Annotations left out of the record: a/b\n# The races lost"), "{text}");
        let file = CaseFile::parse(Path::new("case.yaml"), text).unwrap();
        assert_eq!(file.case.name.as_deref(), Some("blue"));
        assert!(file.text.contains("pod: shop/web-1") && file.text.contains("refused: fault"), "{}", file.text);
        assert!(told(1).unwrap().text.contains("pod: shop/web-0"));
        assert!(told(3).unwrap_err().to_string().contains("record: line 3 is not a decision"));
        assert!(told(4).unwrap_err().to_string().ends_with("record has no 4. decision"));
    }
}
