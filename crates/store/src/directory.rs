//! Directories of data: for their owner alone, and on the disk before anything in them is promised.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes a directory, with those above it, for its owner alone (mode 0700), and flushes each new name to the disk.
/// One that is there stays as it is.
///
/// # Errors
///
/// When it cannot be made, or what is above it cannot be read.
pub fn create_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    create_directory(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| flush_names(parent)),
    }
}

/// Makes the names of new files in a directory durable: flushing a file promises nothing about its name (fsync(2)).
///
/// The empty path is the working directory.
///
/// # Errors
///
/// What the system says.
pub fn flush_names(directory: &Path) -> io::Result<()> {
    let here = Path::new(".");
    let directory = if directory.as_os_str().is_empty() { here } else { directory };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_is_made_with_those_above_it_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        create_directory(&deep).unwrap();
        create_directory(&deep).unwrap();
        for made in [&deep, deep.parent().unwrap()] {
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_file_in_its_place_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(create_directory(&file).is_err());
        assert!(create_directory(&file.join("below")).is_err());
    }
}
