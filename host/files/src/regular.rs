//! Reading a file that a configuration names. To open a pipe would be to wait for its other end, and to read a device to
//! read for ever: both are refused before a byte is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The beginning of a regular file, at most so many bytes.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(not_regular());
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// For files that a library opens: whether it would get a regular one.
pub fn check_regular(path: &Path) -> io::Result<()> {
    if path.metadata()?.is_file() { Ok(()) } else { Err(not_regular()) }
}

fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_pipes_nor_devices_nor_directories_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [pipe.as_path(), directory.path(), Path::new("/dev/zero")] {
            assert_eq!(read_regular(path, 9).unwrap_err().to_string(), "it is not a regular file");
            assert_eq!(check_regular(path).unwrap_err().to_string(), "it is not a regular file");
        }
        let file = directory.path().join("file");
        std::fs::write(&file, "content").unwrap();
        assert_eq!(read_regular(&file, 4).unwrap(), b"cont");
        check_regular(&file).unwrap();
        assert!(read_regular(&directory.path().join("absent"), 9).is_err());
    }
}
