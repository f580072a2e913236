//! The records of the host-local plugin: `<dir>/<network>/<address>` is a file with the container's ID and, since version
//! 0.7 of the plugins, the interface on a second line.

use std::fs;
use std::io;
use std::path::Path;

use super::error::ImportError;
use store::Booking;

/// Every entry of a network. There are none where the plugin never ran for it.
pub(super) fn read(dir: &Path, network: &str) -> Result<Vec<Booking>, ImportError> {
    let path = dir.join(network);
    match read_entries(&path) {
        Ok(bookings) => Ok(bookings),
        Err(error) if error.kind() == io::ErrorKind::NotFound && dir.is_dir() && !path.exists() => Ok(Vec::new()),
        Err(source) => Err(ImportError::Unreadable { path, source }),
    }
}

fn read_entries(directory: &Path) -> io::Result<Vec<Booking>> {
    let mut bookings = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The plugin keeps files of its own beside its entries.
        let is_its_own = name == "lock" || name.starts_with("last_reserved_ip");
        if !is_its_own && entry.file_type()?.is_file() {
            bookings.push(booking(name, &fs::read_to_string(entry.path())?));
        }
    }
    Ok(bookings)
}

fn booking(address: String, text: &str) -> Booking {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    Booking { address, container: lines.next().unwrap_or_default(), interface: lines.next(), pod: None }
}

/// Moves an entry to `<dir>/<network>.imported/`. Returns an empty text, or why the file could not be moved.
pub(super) fn move_aside(dir: &Path, network: &str, address: &str) -> String {
    let (file, aside) = (dir.join(network).join(address), dir.join(format!("{network}.imported")));
    match fs::create_dir_all(&aside).and_then(|()| fs::rename(file, aside.join(address))) {
        Ok(()) => String::new(),
        Err(error) => format!("its file could not be moved to {}: {error}", aside.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_files_are_read_and_its_own_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let network = dir.path().join("blue");
        fs::create_dir(&network).unwrap();
        let files = [
            ("10.0.0.10", "c2\r\neth1"),
            ("10.0.0.9", "c1"),
            ("fd00::2", "c2\neth1\n"),
            ("lock", ""),
            ("last_reserved_ip.0", "10.0.0.10"),
        ];
        files.iter().for_each(|(name, text)| fs::write(network.join(name), text).unwrap());
        let mut read = read(dir.path(), "blue").unwrap();
        read.sort_by_key(|booking| booking.address.len());
        let short = |booking: &Booking| {
            let Booking { address, container, interface, .. } = booking;
            format!("{address} {container} {interface:?}")
        };
        let expected = [r#"fd00::2 c2 Some("eth1")"#, "10.0.0.9 c1 None", r#"10.0.0.10 c2 Some("eth1")"#];
        assert_eq!(read.iter().map(short).collect::<Vec<_>>(), expected);
        assert_eq!(super::read(dir.path(), "green").unwrap(), []);
        assert!(super::read(&dir.path().join("absent"), "blue").unwrap_err().to_string().contains("absent/blue"));
    }
}
