//! What an export looks like: a value of JSON on each line.
//!
//! ```text
//!   {"kubeIpamExport":1,"domain":"blue","at":"2026-01-01T00:00:00Z","program":"0.1.0"}
//!   {"claim":{…},"newest":true}          newest: of the containers of its pod, the one that the pod has now
//!   {"hold":{…}}                         an address on hold, cooling down, or reserved
//!   {"end":{"claims":1,"holds":1,"sha256":"…"}}
//! ```
//!
//! The digest is of every byte before the last line, line ends included: a file without that line was cut off, and one whose
//! digest differs was changed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cli::output::counted;
use cni::Fail;
use ipam::Claim;
use ipam::shown::json;
use limits::store::EXPORT_LINE;
use store::{Arrival, Hold};

/// The version of the format. A reader knows all versions up to its own.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExportHeader {
    kube_ipam_export: u32,
    pub(crate) domain: String,
    pub(crate) at: Timestamp,
    /// The version of the program that wrote it.
    program: String,
}

/// A line behind the header. Exactly one of `claim`, `hold` and `end` is there.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExportLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claim: Option<Claim>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) newest: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<Hold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<ExportEnd>,
}

/// The last line: what the whole of it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExportEnd {
    pub(crate) claims: u64,
    pub(crate) holds: u64,
    sha256: String,
}

impl ExportEnd {
    /// What there is, in words.
    pub(crate) fn counts(&self) -> String {
        let [claims, holds] = [self.claims, self.holds].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        format!("{} and {} of holds and reservations", counted(claims, "claim"), counted(holds, "record"))
    }
}

impl ExportHeader {
    pub(crate) fn new(domain: String, at: Timestamp) -> Self {
        Self { kube_ipam_export: VERSION, domain, at, program: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

impl ExportLine {
    pub(crate) fn of_claim(arrival: Arrival) -> Self {
        Self { claim: Some(arrival.claim), newest: arrival.is_newest, ..Self::default() }
    }

    pub(crate) fn of_hold(hold: Hold) -> Self {
        Self { hold: Some(hold), ..Self::default() }
    }
}

/// Writes an export line by line.
pub(crate) struct ExportWriter<'a, W> {
    out: &'a mut W,
    digest: Sha256,
    end: ExportEnd,
}

impl<'a, W: Write> ExportWriter<'a, W> {
    pub(crate) fn begin(out: &'a mut W, header: &ExportHeader) -> io::Result<Self> {
        let mut writer = Self { out, digest: Sha256::new(), end: ExportEnd::default() };
        writer.write(header)?;
        Ok(writer)
    }

    pub(crate) fn line(&mut self, line: &ExportLine) -> io::Result<()> {
        self.end.claims += u64::from(line.claim.is_some());
        self.end.holds += u64::from(line.hold.is_some());
        self.write(line)
    }

    pub(crate) fn end(mut self) -> io::Result<ExportEnd> {
        self.end.sha256 = format!("{:x}", self.digest.clone().finalize());
        let last = ExportLine { end: Some(self.end.clone()), ..ExportLine::default() };
        self.write(&last)?;
        self.out.flush()?;
        Ok(self.end)
    }

    fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        // Names reach a terminal here, too.
        let line = json(&serde_json::to_string(value)?).into_owned() + "\n";
        self.digest.update(line.as_bytes());
        self.out.write_all(line.as_bytes())
    }
}

/// An export in a file, which has been read once and is as it was written.
pub(crate) struct ExportFile {
    path: PathBuf,
    file: File,
    pub(crate) header: ExportHeader,
    pub(crate) end: ExportEnd,
}

/// Why a file cannot be imported as an export.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportFileError {
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is not an export of kube-ipam", path = .path.display())]
    NoExport { path: PathBuf },
    #[error("{path} is an export of format {version}, of which this version of kube-ipam knows the first {VERSION}", path = .path.display())]
    Newer { path: PathBuf, version: u32 },
    #[error("{path}, line {line}: {what}", path = .path.display())]
    Line { path: PathBuf, line: u64, what: String },
    #[error("{path} is not complete: its last line is missing", path = .path.display())]
    CutOff { path: PathBuf },
    #[error("{path} was changed since it was written: {what}", path = .path.display())]
    Changed { path: PathBuf, what: String },
}

impl Fail for ExportFileError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } | Self::NoExport { .. } => "name a file that `kube-ipam export` wrote".to_owned(),
            Self::Newer { .. } => "import it with the version that wrote it, or a later one".to_owned(),
            Self::Line { .. } | Self::CutOff { .. } | Self::Changed { .. } => {
                "nothing was imported: export it again, or copy it again from where it was exported to".to_owned()
            }
        })
    }
}

impl ExportFile {
    /// Read all of it, and see whether it is whole.
    pub(crate) fn open(path: &Path) -> Result<Self, ExportFileError> {
        let unreadable = |source| ExportFileError::Unreadable { path: path.to_owned(), source };
        files::check_regular(path).map_err(unreadable)?;
        let mut file = File::open(path).map_err(unreadable)?;
        let mut digest = Sha256::new();
        let (mut header, mut end, mut found) = (None, None, ExportEnd::default());
        {
            let mut lines = RawLines::of(path, &file);
            while let Some(text) = lines.next()? {
                if header.is_none() {
                    header = Some(read_header(path, &text)?);
                } else if end.is_some() {
                    return Err(lines.wrong("there is a line behind the last one"));
                } else {
                    let line = lines.parse(&text)?;
                    found.claims += u64::from(line.claim.is_some());
                    found.holds += u64::from(line.hold.is_some());
                    end = line.end;
                }
                if end.is_none() {
                    digest.update(text.as_bytes());
                }
            }
        }
        let Some(header) = header else { return Err(ExportFileError::NoExport { path: path.to_owned() }) };
        let Some(end) = end else { return Err(ExportFileError::CutOff { path: path.to_owned() }) };
        found.sha256 = format!("{:x}", digest.finalize());
        if found != end {
            let what = if found.sha256 == end.sha256 { "its counts differ" } else { "its digest differs" };
            return Err(ExportFileError::Changed { path: path.to_owned(), what: what.to_owned() });
        }
        file.rewind().map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), file, header, end })
    }

    /// Its claims and holds, from the beginning.
    pub(crate) fn lines(&mut self) -> Result<Lines<'_>, ExportFileError> {
        let unreadable = |source| ExportFileError::Unreadable { path: self.path.clone(), source };
        self.file.rewind().map_err(unreadable)?;
        let mut lines = RawLines::of(&self.path, &self.file);
        lines.next()?;
        Ok(Lines(lines))
    }
}

/// The claims and holds of an export.
pub(crate) struct Lines<'a>(RawLines<'a>);

impl Lines<'_> {
    pub(crate) fn next(&mut self) -> Result<Option<ExportLine>, ExportFileError> {
        let Some(text) = self.0.next()? else { return Ok(None) };
        let line = self.0.parse(&text)?;
        Ok(if line.end.is_some() { None } else { Some(line) })
    }
}

struct RawLines<'a> {
    path: &'a Path,
    reader: BufReader<&'a File>,
    number: u64,
}

impl<'a> RawLines<'a> {
    fn of(path: &'a Path, file: &'a File) -> Self {
        Self { path, reader: BufReader::new(file), number: 0 }
    }

    /// The next line with its end. One that is too long is none of ours, and is not read into memory.
    fn next(&mut self) -> Result<Option<String>, ExportFileError> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(EXPORT_LINE).read_until(b'\n', &mut bytes);
        read.map_err(|source| ExportFileError::Unreadable { path: self.path.to_owned(), source })?;
        self.number += 1;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() as u64 == EXPORT_LINE {
            return Err(self.wrong("it is too long"));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(self.wrong("it is not text")),
        }
    }

    fn parse(&self, text: &str) -> Result<ExportLine, ExportFileError> {
        let line: ExportLine = serde_json::from_str(text).map_err(|error| self.wrong(&error.to_string()))?;
        let parts = [line.claim.is_some(), line.hold.is_some(), line.end.is_some()];
        if parts.into_iter().filter(|is_there| *is_there).count() == 1 {
            return Ok(line);
        }
        Err(self.wrong("expected a claim, a hold or the end"))
    }

    fn wrong(&self, what: &str) -> ExportFileError {
        ExportFileError::Line { path: self.path.to_owned(), line: self.number, what: what.to_owned() }
    }
}

fn read_header(path: &Path, text: &str) -> Result<ExportHeader, ExportFileError> {
    /// Whatever else a later version writes.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OfAnyVersion {
        kube_ipam_export: u32,
    }

    let of_any: Result<OfAnyVersion, _> = serde_json::from_str(text);
    match of_any {
        Ok(OfAnyVersion { kube_ipam_export: version }) if version > VERSION => {
            Err(ExportFileError::Newer { path: path.to_owned(), version })
        }
        Ok(_) => serde_json::from_str(text).map_err(|_| ExportFileError::NoExport { path: path.to_owned() }),
        Err(_) => Err(ExportFileError::NoExport { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(directory: &Path) -> (PathBuf, Vec<u8>) {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut bytes = Vec::new();
        let mut writer = ExportWriter::begin(&mut bytes, &ExportHeader::new("blue\u{202e}".to_owned(), now)).unwrap();
        for last in 2..5 {
            let hold: Hold = serde_json::from_value(serde_json::json!({
                "address": format!("10.0.0.{last}"), "identity": "a\u{202e}b", "until": "2026-01-01T01:00:00Z"
            }))
            .unwrap();
            writer.line(&ExportLine::of_hold(hold)).unwrap();
        }
        assert_eq!(writer.end().unwrap().holds, 3);
        let path = directory.join("export");
        std::fs::write(&path, &bytes).unwrap();
        (path, bytes)
    }

    fn refusal(path: &Path, bytes: &[u8]) -> String {
        std::fs::write(path, bytes).unwrap();
        ExportFile::open(path).err().unwrap().to_string()
    }

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let (path, bytes) = written(directory.path());
        assert!(!String::from_utf8(bytes).unwrap().contains('\u{202e}'), "it may be shown in a terminal");
        let mut file = ExportFile::open(&path).unwrap();
        assert_eq!((file.header.domain.as_str(), file.end.holds), ("blue\u{202e}", 3));
        for _ in 0..2 {
            let mut lines = file.lines().unwrap();
            let mut addresses = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                addresses.push(line.hold.unwrap().address.to_string());
            }
            assert_eq!(addresses, ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
        }
    }

    #[test]
    fn whatever_is_missing_or_changed_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, bytes) = written(directory.path());
        let text = String::from_utf8(bytes.clone()).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        assert!(refusal(&path, lines[..4].concat().as_bytes()).contains("last line is missing"));
        assert!(refusal(&path, text.replace("10.0.0.3", "10.0.0.9").as_bytes()).contains("digest differs"));
        assert!(
            refusal(&path, [lines[0], lines[1], lines[3], lines[4]].concat().as_bytes()).contains("digest differs")
        );
        assert!(refusal(&path, text.replace("\"holds\":3", "\"holds\":4").as_bytes()).contains("counts differ"));
        assert!(refusal(&path, (text.clone() + lines[1]).as_bytes()).contains("line 6: there is a line behind"));
        assert!(refusal(&path, text.replace("{\"hold\"", "{\"held\"").as_bytes()).contains("line 2: unknown field"));
        assert!(refusal(&path, text.replacen(":1,", ":2,", 1).as_bytes()).contains("an export of format 2"));
        assert!(refusal(&path, b"").contains("not an export"));
        assert!(refusal(&path, b"address,reason\n").contains("not an export"));
        // Not a byte may be lost: however it is cut, it is refused.
        for end in 0..bytes.len() - 1 {
            std::fs::write(&path, &bytes[..end]).unwrap();
            assert!(ExportFile::open(&path).is_err(), "{end}");
        }
    }
}
