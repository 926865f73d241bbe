//! Turns the catalogues of `lang/` into code (`build/catalogue.rs`), and says what is linked in (`build/unwinder.rs`).

use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "build/catalogue.rs"]
mod catalogue;
#[path = "build/unwinder.rs"]
mod unwinder;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=lang");
    unwinder::link_in();
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let english = read(&root.join("lang/en"));
    let chinese = read(&root.join("lang/zh"));
    match catalogue::code(&english, &chinese) {
        Ok(code) => {
            let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("say.rs");
            fs::write(&out, code).expect("the directory for output can be written");
        }
        Err(problems) => {
            for problem in &problems {
                println!("cargo::error={problem}");
            }
            std::process::exit(1);
        }
    }
}

/// The catalogues of a language: the names of the files without `.ftl`, and their texts.
fn read(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder of catalogues can be read")
        .map(|entry| entry.expect("the folder of catalogues can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ftl"))
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a catalogue is UTF-8"))
        })
        .collect();
    files.sort();
    files
}
