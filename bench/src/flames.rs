//! Where the processor time goes, function by function: flame graphs of the server under load and of one command.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cases::{SIXTY_FOUR, THOUSAND};
use crate::device::Home;
use crate::feed::{Notes, Pushes};
use crate::flame_graph::{FlameGraph, Folded};
use crate::load::{self, Shape, Work};
use crate::profile::{self, Profile};
use crate::server::Server;
use crate::table::Table;
use crate::{Failure, Options, cpu};

pub(crate) const NAME: &str = "flame graphs";

/// What is looked at: the picture's name, its title, and what happens meanwhile.
const GRAPHS: [(&str, &str, Load); 4] = [
    ("flame-64", "the server, POST /notes, 64 outstanding", Load::Notes(SIXTY_FOUR)),
    ("flame-1024", "the server, POST /notes, 1,024 outstanding", Load::Notes(THOUSAND)),
    ("flame-feed", "the server, POST /feed, 4 a datagram, 64 outstanding", Load::Pushes),
    ("flame-command", "suibi TEXT, joined, start to exit", Load::Commands),
];

#[derive(Debug, Clone, Copy)]
enum Load {
    Notes(Shape),
    Pushes,
    Commands,
}

const DEVICES: usize = 64;
const BATCH: usize = 4;

/// A server is looked at so long, or as long as a turn is if that is longer.
const LEAST: Duration = Duration::from_secs(4);

/// How many notes a command finds, and how many commands are looked at.
const BEFORE: u32 = 1_000;
const COMMANDS: u32 = 200;

/// Draws all of them. Where nothing was seen there is no picture.
///
/// # Errors
/// When a server or a command fails.
pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    let mut table = Table::new(NAME, &["flame graph", "samples"]);
    for (name, title, load) in GRAPHS {
        options.tell(1, title);
        let folded = look(options, load)?;
        let samples: u64 = folded.values().sum();
        table.row([title.to_owned(), samples.to_string()]);
        if samples > 0 {
            table.picture(FlameGraph::new(name, title.to_owned(), &folded));
        }
    }
    Ok(table)
}

fn look(options: &Options, load: Load) -> Result<Folded, Failure> {
    let data = tempfile::tempdir_in(&options.dir)?;
    match load {
        Load::Notes(shape) => look_at_server(options, data.path(), shape, &mut Notes),
        Load::Pushes => {
            let shape = Shape { sockets: DEVICES, each: 1, joined: false };
            look_at_server(options, data.path(), shape, &mut Pushes::new(DEVICES, BATCH))
        }
        Load::Commands => look_at_commands(options, data.path()),
    }
}

fn look_at_server(
    options: &Options,
    data: &Path,
    shape: Shape,
    work: &mut dyn Work,
) -> Result<Folded, Failure> {
    let server = Server::suibi(&options.server, data)?;
    let profile = Profile::deep(server.id(), data);
    load::run(server.address, shape, options.turn.max(LEAST), work)?;
    let folded = profile.map(Profile::finish_folded).transpose()?.unwrap_or_default();
    // What follows when it is idle, the index, is not what it is asked to do.
    cpu::until_idle(server.id())?;
    server.stop()?;
    Ok(folded)
}

fn look_at_commands(options: &Options, directory: &Path) -> Result<Folded, Failure> {
    let mut home = Home::with_notes(&options.server, directory, BEFORE)?;
    let device = home.joined(home.server.address)?.data_dir;
    let repeat = "i=0; while [ $i -lt $1 ]; do i=$((i+1)); \"$0\" note $i || exit 1; done";
    let mut command = Command::new("sh");
    command.args(["-c", repeat]).arg(&options.server).arg(COMMANDS.to_string());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("HOME", directory);
    command.env("SUIBI_CONFIG", directory.join("no-config.toml")).env("SUIBI_DATA_DIR", device);
    let name = options.server.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folded = profile::of_command(&command, &name, directory)?;
    home.server.stop()?;
    Ok(folded)
}
