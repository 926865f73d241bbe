//! How the program is linked: with the part of the C compiler's library that unwinds after a panic inside it.
//!
//! By default that part is a library of its own, which the dynamic linker would look for, map and bind at each start:
//! a twentieth of the processor time of `suibi TEXT`. Where it cannot be had, the program is linked as always.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// What unwinds, in a form to be linked in.
const LIBRARY: &str = "libgcc_eh.a";

/// Tells cargo so.
pub(crate) fn link_in() {
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let is_glibc = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    // The compiler of this machine knows the libraries of this machine.
    let is_here = env::var("TARGET").ok() == env::var("HOST").ok();
    if is_glibc
        && is_here
        && let Some(directory) = directory()
    {
        println!("cargo:rustc-link-search=native={}", directory.display());
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Where the compiler that links has the library.
fn directory() -> Option<PathBuf> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let output = Command::new(linker).arg(format!("-print-file-name={LIBRARY}")).output().ok()?;
    // Of what it does not have it prints the name alone.
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (path.is_absolute() && path.is_file()).then(|| path.parent().map(PathBuf::from))?
}
