//! Files that somebody else names. To open a pipe would be to wait for its other end, and to read a device to read
//! forever:
//! both are refused before a byte is read.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Access, access};

/// All of a regular file; one that is longer than this is refused, not cut off.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // What was opened is what is looked at: between a look at the path and opening it, another may put a pipe there.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    check_is_file(&file.metadata()?)?;
    let mut bytes = Vec::new();
    // One more than is allowed: what is longer is told from what fits.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// For files that a library opens: whether it would get a regular one.
pub fn check_regular(path: &Path) -> io::Result<()> {
    check_is_file(&path.metadata()?)
}

/// The one error for whatever is not a regular file.
pub fn check_is_file(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(not_regular()) }
}

/// Whether lines could be appended to a file, which is made where it is missing. Makes nothing.
pub fn check_appendable(path: &Path) -> io::Result<()> {
    match path.metadata() {
        Ok(metadata) => {
            check_is_file(&metadata)?;
            Ok(access(path, Access::WRITE_OK)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().unwrap_or(path);
            if !directory.exists() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "its directory does not exist"));
            }
            Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        Err(error) => Err(error),
    }
}

/// The same error for whoever learns it without the metadata, from opening a pipe.
pub fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_refused_and_not_cut_off() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "content").unwrap();
        assert_eq!(read_regular(file.path(), 6).unwrap_err().to_string(), "it is longer than 6 bytes");
    }

    #[test]
    fn neither_pipes_nor_devices_nor_directories_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [pipe.as_path(), directory.path(), Path::new("/dev/zero")] {
            assert_eq!(check_appendable(path).unwrap_err().to_string(), "it is not a regular file");
            assert_eq!(read_regular(path, 9).unwrap_err().to_string(), "it is not a regular file");
            assert_eq!(check_regular(path).unwrap_err().to_string(), "it is not a regular file");
        }
        let file = directory.path().join("file");
        std::fs::write(&file, "content").unwrap();
        assert_eq!(read_regular(&file, 7).unwrap(), b"content");
        check_regular(&file).unwrap();
        check_appendable(&file).unwrap();
        check_appendable(&directory.path().join("new")).unwrap();
        assert!(!directory.path().join("new").exists());
        let nowhere = check_appendable(&directory.path().join("absent/new")).unwrap_err();
        assert_eq!(nowhere.to_string(), "its directory does not exist");
        assert!(check_appendable(&file.join("new")).is_err(), "below a file");
        assert!(read_regular(&directory.path().join("absent"), 9).is_err());
    }
}
