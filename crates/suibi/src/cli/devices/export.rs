//! `suibi devices export`: keys for a program of another make, in the files that it reads.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;
use suibi_journal::Rights;
use suibi_journal::admission::{ForeignAnswer, ForeignRequest};
use suibi_journal::hex::to_hex;

use crate::cli::Context;
use crate::cli::owner::Owner;
use crate::failure::{Exit, Failure};
use crate::render::json::{VERSION, rights_json};
use crate::render::style::{DIM, GOOD, WAITING};
use crate::render::wrap::harmless;
use crate::say::devices as say;

/// `suibi devices export`.
#[derive(Debug, Args)]
#[command(after_help = "\
The keys are told this once. They must never be copied, nor restored from a
backup: a program that counts its messages again gives its notes away.

Examples:
  suibi devices export kettle --format libcoap --rights write --dir kettle
  suibi devices export scripts --format aiocoap --dir scripts")]
pub(super) struct ExportArgs {
    /// What the program is to be called among the devices
    #[arg(value_name = "NAME")]
    name: String,
    /// Whose files
    #[arg(long, value_name = "aiocoap|libcoap")]
    format: Format,
    /// What it may do: read,write, or read alone, or write alone
    #[arg(long, value_name = "RIGHTS", default_value = "read,write")]
    rights: Rights,
    /// The journal that it may use; a name that is new makes one [default: your own]
    #[arg(long, value_name = "JOURNAL")]
    journal: Option<String>,
    /// Where the program finds the server [default: where it listens, or this machine's own address]
    #[arg(long, value_name = "HOST[:PORT]")]
    host: Option<String>,
    /// Write the files into this directory, made for them, instead of printing them
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Whose files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Aiocoap,
    Libcoap,
}

/// What `devices export` prints with `--json`. Keys are in it, so there is no `Debug`.
#[derive(Serialize)]
struct ExportJson {
    version: u32,
    id: String,
    name: String,
    journal: String,
    rights: Vec<&'static str>,
    uri: String,
    files: Vec<FileJson>,
}

/// One file: where it was written, or what would be in it.
#[derive(Serialize)]
struct FileJson {
    name: String,
    path: Option<String>,
    text: Option<String>,
}

/// A file for the program.
struct File {
    /// Its name, with a folder before it where the program wants one.
    name: &'static str,
    text: String,
}

pub(super) fn run(args: ExportArgs, context: &mut Context) -> Result<Exit, Failure> {
    if let Some(dir) = &args.dir {
        check_dir(dir)?;
    }
    let mut owner = Owner::of_a_server_that_runs(context)?;
    let host = owner.host_for_a_program(args.host.as_deref())?;
    let uri = format!("coap://{host}");
    let answer = owner.export(&ForeignRequest {
        journal: args.journal,
        rights: args.rights,
        name: args.name,
    })?;
    // aiocoap takes a relative path from wherever it is started.
    let base = args.dir.as_deref().map(|dir| std::path::absolute(dir).unwrap_or(dir.to_owned()));
    let files = match args.format {
        Format::Aiocoap => aiocoap(&answer, &uri, base.as_deref()),
        Format::Libcoap => libcoap(&answer),
    };
    if let Some(dir) = &args.dir {
        write(dir, &files).map_err(|error| {
            Failure::new(Exit::Data, say::ExportCannotWrite { dir: dir.display() })
                .because(&error)
                .hint(say::ExportRevoke { id: to_hex(&answer.id) })
        })?;
    }
    show(&args.dir, args.format, &answer, &uri, files, context)
}

fn show(
    dir: &Option<PathBuf>,
    format: Format,
    answer: &ForeignAnswer,
    uri: &str,
    files: Vec<File>,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let ui = &mut context.ui;
    if ui.json {
        let file = |file: File| FileJson {
            name: file.name.to_owned(),
            path: dir.as_ref().map(|dir| dir.join(file.name).display().to_string()),
            text: dir.is_none().then_some(file.text),
        };
        ui.json(&ExportJson {
            version: VERSION,
            id: to_hex(&answer.id),
            name: answer.name.clone(),
            journal: answer.journal.clone(),
            rights: rights_json(answer.rights),
            uri: uri.to_owned(),
            files: files.into_iter().map(file).collect(),
        })?;
        return Ok(Exit::Done);
    }
    if dir.is_none() {
        let several = files.len() > 1;
        for (index, file) in files.iter().enumerate() {
            if several {
                let before = if index > 0 { "\n" } else { "" };
                writeln!(ui.out(), "{before}==> {} <==", file.name)?;
            }
            ui.out().write_all(file.text.as_bytes())?;
        }
        ui.flush()?;
    }
    let may = crate::cli::may(answer.rights);
    let name = harmless(&answer.name);
    let may = say::ExportMay { name, may, journal: harmless(&answer.journal) };
    ui.say(format_args!("{GOOD}✓{GOOD:#} {may}"));
    let place = dir.as_deref().unwrap_or(Path::new(".")).display().to_string();
    let example = match format {
        Format::Aiocoap => {
            format!(
                "aiocoap-client --credentials {place}/client.json -m POST --payload 'hello' {uri}/notes"
            )
        }
        Format::Libcoap => {
            format!(
                "coap-client -E {place}/oscore.conf,{place}/oscore.seq -m post -e 'hello' {uri}/notes"
            )
        }
    };
    ui.say(format_args!("{DIM}{example}{DIM:#}"));
    ui.say(format_args!("{WAITING}!{WAITING:#} {}", say::ExportWarning));
    Ok(Exit::Done)
}

/// A folder for the context, and a map that says for which addresses it is.
fn aiocoap(answer: &ForeignAnswer, uri: &str, dir: Option<&Path>) -> Vec<File> {
    let context = dir.unwrap_or(Path::new("")).join("context");
    let basedir = format!("{}/", context.display());
    let file = |name, value: serde_json::Value| File { name, text: format!("{value:#}\n") };
    vec![
        file(
            "context/settings.json",
            json!({
                "sender-id_hex": to_hex(&answer.id),
                "recipient-id_hex": to_hex(&answer.server_id),
                "algorithm": "AES-CCM-16-64-128",
                "kdf-hashfun": "sha256",
                "window": 32,
            }),
        ),
        file(
            "context/secret.json",
            json!({ "secret_hex": to_hex(&answer.secret), "salt_hex": to_hex(&answer.salt) }),
        ),
        file("client.json", json!({ format!("{uri}/*"): { "oscore": { "basedir": basedir } } })),
    ]
}

/// One file; the program keeps its next number in another.
fn libcoap(answer: &ForeignAnswer) -> Vec<File> {
    let text = format!(
        "master_secret,hex,\"{}\"\n\
         master_salt,hex,\"{}\"\n\
         sender_id,hex,\"{}\"\n\
         recipient_id,hex,\"{}\"\n\
         replay_window,integer,32\n\
         aead_alg,integer,10\n\
         hkdf_alg,integer,-10\n",
        to_hex(&answer.secret),
        to_hex(&answer.salt),
        to_hex(&answer.id),
        to_hex(&answer.server_id),
    );
    vec![File { name: "oscore.conf", text }]
}

/// Keys are never laid beside, or over, what is there.
fn check_dir(dir: &Path) -> Result<(), Failure> {
    let is_empty = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(_) => false,
    };
    if is_empty {
        return Ok(());
    }
    Err(Failure::usage(say::ExportNotEmpty { dir: dir.display() }).hint(say::ExportNotEmptyHint))
}

/// For the owner alone: directories 0700, files 0600, none that is there already.
fn write(dir: &Path, files: &[File]) -> io::Result<()> {
    for file in files {
        let path = dir.join(file.name);
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut options = fs::OpenOptions::new();
        let mut opened = options.write(true).create_new(true).mode(0o600).open(&path)?;
        opened.write_all(file.text.as_bytes())?;
        opened.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> ForeignAnswer {
        ForeignAnswer {
            id: vec![0x0a, 0x1b, 0x2c, 0x3d],
            server_id: b"s".to_vec(),
            secret: *b"0123456789abcdef",
            salt: *b"saltsalt",
            name: "kettle".to_owned(),
            journal: "notes".to_owned(),
            rights: Rights::DROP,
        }
    }

    #[test]
    fn the_files_are_those_that_libcoap_reads() {
        insta::assert_snapshot!(libcoap(&answer())[0].text, @r#"
        master_secret,hex,"30313233343536373839616263646566"
        master_salt,hex,"73616c7473616c74"
        sender_id,hex,"0a1b2c3d"
        recipient_id,hex,"73"
        replay_window,integer,32
        aead_alg,integer,10
        hkdf_alg,integer,-10
        "#);
    }

    #[test]
    fn the_files_are_those_that_aiocoap_reads() {
        let files = aiocoap(&answer(), "coap://192.0.2.7", Some(Path::new("/keys/kettle")));
        let text: String =
            files.iter().map(|file| format!("{}\n{}", file.name, file.text)).collect();
        insta::assert_snapshot!(text, @r#"
        context/settings.json
        {
          "algorithm": "AES-CCM-16-64-128",
          "kdf-hashfun": "sha256",
          "recipient-id_hex": "73",
          "sender-id_hex": "0a1b2c3d",
          "window": 32
        }
        context/secret.json
        {
          "salt_hex": "73616c7473616c74",
          "secret_hex": "30313233343536373839616263646566"
        }
        client.json
        {
          "coap://192.0.2.7/*": {
            "oscore": {
              "basedir": "/keys/kettle/context/"
            }
          }
        }
        "#);
    }

    #[test]
    fn keys_are_their_owners_alone_and_never_mixed_with_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("keys");
        let files = aiocoap(&answer(), "coap://192.0.2.7", None);
        assert!(check_dir(&dir).is_ok());
        write(&dir, &files).unwrap();
        for (name, mode) in [("", 0o700), ("context", 0o700), ("context/secret.json", 0o600)] {
            let found = fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{name}");
        }
        assert!(check_dir(&dir).is_err());
        assert!(check_dir(&dir.join("client.json")).is_err());
        assert!(write(&dir, &files).is_err(), "it wrote over keys");
    }
}
