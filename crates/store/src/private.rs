//! Files with secrets: for their owner alone, and replaced as a whole or not at all.
//!
//! No symbolic link is followed, as whoever may write in the directory could have put it there; and nothing of another
//! user's is believed. `user` is always the one as whom this process acts, by number; root, 0, may work for others.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::flush_names;

/// For the owner to read and write, for nobody else to do anything.
const MODE: u32 = 0o600;
/// What the group and others may do to a file.
const OTHERS: u32 = 0o077;

/// Reads a small file, unless there is none. One that others may read, or write, is closed to them, and that is told in
/// the log: whoever has read it until then has the secret.
///
/// The text is zeroed when it is dropped; what goes beyond `max_bytes` is not read.
///
/// # Errors
///
/// When it is a symbolic link, no file, another user's, or no UTF-8, or cannot be read.
pub fn read(path: &Path, max_bytes: u64, user: u32) -> io::Result<Option<Zeroizing<String>>> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if let Some(mode) = close_to_others(&file, &path.display().to_string(), user)? {
        tracing::warn!(
            path = %path.display(),
            "others on this machine could read this secret (mode {mode:03o}); now they cannot"
        );
    }
    // Grown text would leave copies of the secret behind.
    let len = file.metadata()?.len().min(max_bytes);
    let mut text = Zeroizing::new(String::with_capacity(len as usize + 64));
    file.take(max_bytes).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Writes a file: durable, with its name, when this returns; the old one or the new one, whatever happens meanwhile.
///
/// Until then the new one is beside it, with `.new` behind its name.
///
/// # Errors
///
/// What the system says.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // One that a killed process left may have any mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    flush_names(directory(path))
}

/// Removes a file, if it is there, for good.
///
/// # Errors
///
/// What the system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => flush_names(directory(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a file to read it.
///
/// # Errors
///
/// When it is a symbolic link or no file, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a file to read and write it; it is made, for its owner alone, if it is not there.
///
/// # Errors
///
/// When it is a symbolic link or no file, or cannot be opened.
pub fn open_or_make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_with(options.read(true).write(true).create(true).truncate(false).mode(MODE), path)
}

/// Takes from the group and others what they may do to a file, and says what the mode was if they could do something.
///
/// # Errors
///
/// When it is another user's, or the system does not let us.
pub fn close_to_others(file: &File, name: &str, user: u32) -> io::Result<Option<u32>> {
    let metadata = file.metadata()?;
    check_owner(&metadata, name, user)?;
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(None);
    }
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(Some(mode))
}

/// Refuses what others could have written, or could read what is secret in it.
///
/// # Errors
///
/// When it is another user's, or the group or others may do anything to it.
pub fn check_closed(file: &File, name: &str, user: u32) -> io::Result<()> {
    let metadata = file.metadata()?;
    check_owner(&metadata, name, user)?;
    match metadata.mode() & 0o7777 {
        mode if mode & OTHERS != 0 => Err(refused(format!(
            "{name} is open to other users of this machine (mode {mode:o}), and has a secret in it: the program that keeps \
             it has to be ended and started again"
        ))),
        _ => Ok(()),
    }
}

/// Refuses what is another user's, a file or a directory.
///
/// # Errors
///
/// That it is.
pub fn check_owner(metadata: &Metadata, name: &str, user: u32) -> io::Result<()> {
    if user == 0 || metadata.uid() == user {
        return Ok(());
    }
    Err(refused(format!("{name} belongs to another user (number {})", metadata.uid())))
}

fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // A pipe in its place must not keep us waiting.
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => refused(format!("{} is a symbolic link; remove it", path.display())),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(refused(format!("{} is no file; remove it", path.display())));
    }
    Ok(file)
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn refused(text: String) -> io::Error {
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn us() -> u32 {
        let mine = tempfile::tempfile().unwrap();
        mine.metadata().unwrap().uid()
    }

    fn secret(path: &Path) -> String {
        read(path, 1024, us()).unwrap().unwrap().to_string()
    }

    #[test]
    fn what_is_written_is_read_and_is_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert!(read(&path, 1024, us()).unwrap().is_none());
        for text in ["first", "second"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!((secret(&path).as_str(), mode(&path)), (text, 0o600));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
        }
        assert_eq!(read(&path, 3, us()).unwrap().unwrap().as_str(), "sec");
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_others_may_read_is_closed_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        replace(&path, b"one").unwrap();
        for wide in [0o644, 0o660, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(wide)).unwrap();
            assert_eq!((secret(&path).as_str(), mode(&path)), ("one", 0o600));
        }
        assert_eq!(close_to_others(&open(&path).unwrap(), "secret", us()).unwrap(), None);
    }

    #[test]
    fn what_a_killed_writer_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let (path, left) = (dir.path().join("secret"), dir.path().join("secret.new"));
        let precious = dir.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        replace(&path, b"old").unwrap();
        fs::write(&left, "ne").unwrap();
        fs::set_permissions(&left, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(secret(&path), "old");
        replace(&path, b"new").unwrap();
        assert_eq!((secret(&path).as_str(), mode(&path)), ("new", 0o600));
        symlink(&precious, &left).unwrap();
        replace(&path, b"newer").unwrap();
        assert_eq!((secret(&path), secret(&precious)), ("newer".to_owned(), "precious".to_owned()));
    }

    #[test]
    fn neither_links_nor_pipes_are_opened_and_open_files_are_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "precious").unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o644)).unwrap();
        symlink(&target, &link).unwrap();
        let errors = [open(&link).err(), open_or_make(&link).err(), read(&link, 1024, us()).err()];
        for error in errors.map(|error| error.unwrap().to_string()) {
            assert!(error.ends_with("is a symbolic link; remove it"), "{error}");
        }
        assert_eq!((fs::read(&target).unwrap(), mode(&target)), (b"precious".to_vec(), 0o644));
        assert!(open(dir.path()).is_err());
        let made = open_or_make(&dir.path().join("made")).unwrap();
        check_closed(&made, "made", us()).unwrap();
        made.set_permissions(Permissions::from_mode(0o640)).unwrap();
        let error = check_closed(&made, "made", us()).unwrap_err().to_string();
        assert!(
            error.starts_with("made is open to other users of this machine (mode 640)"),
            "{error}"
        );
    }

    #[test]
    fn what_is_of_another_user_is_refused_as_it_is_but_not_to_root() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "theirs").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let another = us() + 1;
        let error = read(&path, 1024, another).unwrap_err().to_string();
        assert!(error.ends_with(&format!("secret belongs to another user (number {})", us())));
        assert!(check_closed(&open(&path).unwrap(), "secret", another).is_err());
        assert_eq!(mode(&path), 0o644);
        assert_eq!(read(&path, 1024, 0).unwrap().unwrap().as_str(), "theirs");
    }
}
