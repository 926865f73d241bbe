//! The layer between SQLite and the files: SQLite's own "unix" VFS with a tape beside it.
//!
//! This is the one file of the simulator with `unsafe` in it. Every method hands its arguments on to
//! the method of the same name of "unix", as SQLite gave them, and tells the tape what went through.
//! It is the default VFS of the process from the first [`install`] on, so that what is tested needs no
//! switch for it; files elsewhere than on a recorded disk pass by untouched.
//!
//! A file of ours is this, in the memory that SQLite gives for it (`szOsFile` bytes):
//!
//! ```text
//! | methods (ours) | recorded, or null | the file of "unix", with its own methods |
//! ```

#![expect(unsafe_code, reason = "SQLite takes a VFS as tables of C functions")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi::{
    self, SQLITE_FCNTL_PRAGMA, SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods,
    sqlite3_vfs,
};

use super::tape::{self, Recorded, Verdict};

/// The start of a file of ours; the file of "unix" follows.
#[repr(C)]
struct File {
    base: sqlite3_file,
    recorded: *mut Recorded,
}

/// "unix", for the process's lifetime.
struct Unix(*mut sqlite3_vfs);

// SAFETY: SQLite lets every thread use a registered VFS, and this one is never unregistered.
unsafe impl Send for Unix {}
// SAFETY: as above.
unsafe impl Sync for Unix {}

static UNIX: OnceLock<Unix> = OnceLock::new();

/// Puts the tape between SQLite and the files, once in a process.
pub(super) fn install() {
    UNIX.get_or_init(|| {
        // SAFETY: SQLite initialises itself; "unix" is there on every system that this crate runs on,
        // and lives as long as the process. The copy is leaked, as SQLite keeps the pointer. It shares
        // those functions of "unix" that look at no field of the VFS they are called with.
        unsafe {
            assert_eq!(ffi::sqlite3_initialize(), SQLITE_OK);
            let unix = ffi::sqlite3_vfs_find(c"unix".as_ptr());
            assert!(!unix.is_null(), "SQLite has its unix VFS");
            let ours = Box::leak(Box::new(*unix));
            ours.zName = c"recorded".as_ptr();
            ours.pNext = ptr::null_mut();
            ours.szOsFile += size_of::<File>() as c_int;
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            assert_eq!(ffi::sqlite3_vfs_register(ours, 1), SQLITE_OK);
            Unix(unix)
        }
    });
}

fn unix() -> *mut sqlite3_vfs {
    UNIX.get().expect("files are opened by what was installed").0
}

/// The file of "unix" in one of ours.
///
/// # Safety
/// `file` is one that SQLite got from [`open`].
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` covers both, and the size of `File` keeps the alignment of a pointer.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// The tape of a file, if it is on a recorded disk.
///
/// # Safety
/// As of [`real`]; SQLite uses a file from one thread at a time.
unsafe fn recorded<'a>(file: *mut sqlite3_file) -> Option<&'a mut Recorded> {
    // SAFETY: null, or made by `open` and given back by `close`.
    unsafe { (*file.cast::<File>()).recorded.as_mut() }
}

/// Calls the method of the same name of "unix".
macro_rules! pass {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite calls methods of files that are open; "unix" has all of version 3.
        unsafe {
            let real = real($file);
            let method = (*(*real).pMethods).$method.expect("unix has every method");
            method(real $(, $argument)*)
        }
    }};
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: the memory behind `file` has `szOsFile` bytes and is ours; SQLite closes a file whose
    // methods are set. `name` is null or a path that outlives the file.
    unsafe {
        (*file).pMethods = ptr::null();
        (*file.cast::<File>()).recorded = ptr::null_mut();
        let path = (!name.is_null())
            .then(|| Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes())));
        let existed = path.is_some_and(Path::exists);
        let open = (*unix()).xOpen.expect("unix opens files");
        let result = open(unix(), name, real(file), flags, out_flags);
        if result == SQLITE_OK {
            if let Some(recorded) = path.and_then(|path| {
                let is_log = flags
                    & (ffi::SQLITE_OPEN_WAL
                        | ffi::SQLITE_OPEN_MAIN_JOURNAL
                        | ffi::SQLITE_OPEN_SUPER_JOURNAL)
                    != 0;
                tape::open(path, existed, is_log)
            }) {
                (*file.cast::<File>()).recorded = Box::into_raw(Box::new(recorded));
            }
            (*file).pMethods = &raw const METHODS;
        }
        result
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_names: c_int) -> c_int {
    // SAFETY: `name` is a path.
    unsafe {
        let delete = (*unix()).xDelete.expect("unix deletes files");
        let result = delete(unix(), name, sync_names);
        if result == SQLITE_OK {
            let path = Path::new(OsStr::from_bytes(CStr::from_ptr(name).to_bytes()));
            tape::delete(path, sync_names != 0);
        }
        result
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let result = pass!(file, xClose);
    // SAFETY: SQLite closes a file once.
    unsafe {
        let recorded = (*file.cast::<File>()).recorded;
        if !recorded.is_null() {
            drop(Box::from_raw(recorded));
        }
    }
    result
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    len: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: see `recorded`; SQLite gives `len` bytes.
    let (recorded, given) = unsafe {
        (recorded(file), std::slice::from_raw_parts(bytes.cast::<u8>(), len.max(0) as usize))
    };
    let Some(recorded) = recorded else { return pass!(file, xWrite, bytes, len, offset) };
    let (kept, code) = match recorded.verdict(tape::Call::Write) {
        Verdict::Go => (given, SQLITE_OK),
        Verdict::Fail(code) => (&given[..0], code),
        // A disk that fills up takes the beginning.
        Verdict::FailHalfWay(code) => (&given[..given.len() / 2], code),
    };
    if !kept.is_empty() {
        let result = pass!(file, xWrite, bytes, kept.len() as c_int, offset);
        if result != SQLITE_OK {
            return result;
        }
        recorded.written(offset as u64, kept);
    }
    code
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: see `recorded`.
    let Some(recorded) = (unsafe { recorded(file) }) else {
        return pass!(file, xTruncate, size);
    };
    match recorded.verdict(tape::Call::Truncate) {
        Verdict::Go => {}
        Verdict::Fail(code) | Verdict::FailHalfWay(code) => return code,
    }
    let result = pass!(file, xTruncate, size);
    if result == SQLITE_OK {
        recorded.truncated(size as u64);
    }
    result
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: see `recorded`.
    let Some(recorded) = (unsafe { recorded(file) }) else { return pass!(file, xSync, flags) };
    match recorded.verdict(tape::Call::Sync) {
        Verdict::Go => {}
        Verdict::Fail(code) | Verdict::FailHalfWay(code) => return code,
    }
    // The real disk need not be waited for: what counts as flushed is what the tape says.
    recorded.synced();
    SQLITE_OK
}

unsafe extern "C" fn file_control(
    file: *mut sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    if operation == SQLITE_FCNTL_PRAGMA
        // SAFETY: see `recorded`.
        && let Some(recorded) = unsafe { recorded(file) }
    {
        // SAFETY: the argument is an array of an error text, the name, and the value or null, all SQLite's
        // own; a value that is no longer than the one before it fits in its place.
        unsafe {
            let argument = argument.cast::<*mut c_char>();
            let (name, value) = (*argument.add(1), *argument.add(2));
            if !value.is_null()
                && let Ok(name) = CStr::from_ptr(name).to_str()
                && let Some(other) = recorded.pragma(name)
                && other.len() <= CStr::from_ptr(value).count_bytes()
            {
                ptr::copy_nonoverlapping(other.as_ptr(), value.cast(), other.len());
                *value.add(other.len()) = 0;
            }
        }
    }
    pass!(file, xFileControl, operation, argument)
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    into: *mut c_void,
    len: c_int,
    offset: sqlite3_int64,
) -> c_int {
    pass!(file, xRead, into, len, offset)
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    pass!(file, xFileSize, size)
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    pass!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    pass!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, result: *mut c_int) -> c_int {
    pass!(file, xCheckReservedLock, result)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    pass!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    pass!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    place: *mut *mut c_void,
) -> c_int {
    pass!(file, xShmMap, page, size, extend, place)
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    pass!(file, xShmLock, offset, count, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    pass!(file, xShmBarrier);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    pass!(file, xShmUnmap, delete)
}

unsafe extern "C" fn fetch(
    file: *mut sqlite3_file,
    offset: sqlite3_int64,
    len: c_int,
    place: *mut *mut c_void,
) -> c_int {
    pass!(file, xFetch, offset, len, place)
}

unsafe extern "C" fn unfetch(
    file: *mut sqlite3_file,
    offset: sqlite3_int64,
    place: *mut c_void,
) -> c_int {
    pass!(file, xUnfetch, offset, place)
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
