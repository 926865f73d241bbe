//! `suibi demo`: a server, two devices, a network that loses a third of everything, and a proof at the end.
//!
//! ```text
//!  laptop ─┐                        ┌─ suibi serve, a process of its own, killed in the middle
//!          ├─ relay, loses 30 % ────┤
//!  手机   ─┘  each way, reads all   └─ server.db, read at the end
//! ```
//!
//! Nothing is pretended: the devices are the client that every command uses and join with an invite each, the server is
//! this program started anew, the datagrams cross loopback, somebody on the path looks for the notes in every one of
//! them, and the proof reads the server's file.

mod eavesdropper;
mod proof;
mod server;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use suibi_client::{Client, ClientConfig, JoinError, LiveEvent, Place, join};
use suibi_journal::{Extras, Hash, Receipt};
use suibi_net::relay::{Faults, Line, Passage, Relay};

use super::{Context, join as joining};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::style::{DAY, DIM, GOOD, WAITING};
use crate::render::wrap::{columns, padded};
use crate::say::demo as say;
use crate::session;
use eavesdropper::Eavesdropper;
use proof::Proof;
use server::ServerProcess;

/// `suibi demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Of 100 datagrams so many are lost, each way
    #[arg(long, value_name = "PERCENT", default_value_t = 30, value_parser = clap::value_parser!(u8).range(0..=60))]
    loss: u8,
    /// Where the dice of the network start
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// The two devices.
const DEVICES: [&str; 2] = ["laptop", "手机"];

/// One thing that happens by plan.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A device writes.
    Write(usize, &'static str),
    /// The server is killed.
    Kill,
    /// The server is started again.
    Restart,
}

/// What happens, each step so many milliseconds after the one before.
const PLAN: &[(u64, Step)] = &[
    (300, Step::Write(0, "Good morning! Coffee first. @morning")),
    (1500, Step::Write(1, "早上好，今天坐地铁去公司 @morning")),
    (1500, Step::Write(0, "Call the dentist before noon @todo")),
    (1500, Step::Write(1, "中午和小林吃面，她推荐了一本书 @book")),
    (1500, Step::Write(0, "Idea: a journal that cannot lose a line @idea")),
    (30, Step::Kill),
    (1200, Step::Write(1, "服务器不在，也照样能写")),
    (1200, Step::Write(0, "Written while nobody answers")),
    (1800, Step::Restart),
    (2500, Step::Write(1, "晚上：牛奶、鸡蛋、面包 @shop")),
    (1500, Step::Write(0, "Rain all day, read forty pages @book")),
    (1500, Step::Write(1, "睡前一句：今天很好")),
];

/// Both devices have to have joined within this.
const JOIN_WITHIN: Duration = Duration::from_secs(20);

/// One attempt of one of them; an unlucky one is not what the next one waits for, nor a Ctrl-C.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(2);

/// After the last step everything has to be in place within this.
const SETTLE_WITHIN: Duration = Duration::from_secs(40);

/// What the stage hears.
enum Heard {
    Live(usize, LiveEvent),
    /// Ctrl-C: the stage is taken down, and nothing stays behind.
    Interrupted,
}

pub(super) fn run(args: DemoArgs, context: &mut Context) -> Result<Exit, Failure> {
    let directory = scratch()?;
    let outcome = Stage::build(&args, &directory, context).and_then(Stage::play);
    // Only what we made ourselves a moment ago.
    let _ = std::fs::remove_dir_all(&directory);
    outcome
}

/// A directory of our own under the system's temporary one, for this user only.
fn scratch() -> Result<std::path::PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::new(Exit::Data, say::NoRandom).because(&std::io::Error::from(error))
    })?;
    let name = format!("suibi-demo-{:016x}", u64::from_le_bytes(random));
    let directory = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
    Ok(directory)
}

/// A note on its way.
struct OnItsWay {
    written_by: usize,
    written_at: Instant,
    text: &'static str,
    hash: Hash,
    receipt: Option<Receipt>,
    has_arrived: bool,
}

/// Everything that takes part.
struct Stage<'a> {
    context: &'a mut Context,
    directory: &'a Path,
    begun: Instant,
    server: ServerProcess,
    relay: Relay,
    eavesdropper: Eavesdropper,
    clients: Vec<Client>,
    sender: Sender<Heard>,
    heard: Receiver<Heard>,
    notes: Vec<OnItsWay>,
    deaths: u32,
}

impl<'a> Stage<'a> {
    fn build(
        args: &DemoArgs,
        directory: &'a Path,
        context: &'a mut Context,
    ) -> Result<Self, Failure> {
        let server = ServerProcess::start(&directory.join("server"))?;
        let faults =
            Faults { loss: f64::from(args.loss) / 100.0, seed: args.seed, ..Faults::default() };
        let eavesdropper = Eavesdropper::default();
        let relay = Relay::start_through(server.address(), faults, eavesdropper.ears())?;
        // A stream repairs its losses by itself, and there would be nothing to see.
        relay.set_line(Line { tcp: Passage::Refused, ..Line::default() });
        let (sender, heard) = mpsc::channel();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let interrupted = sender.clone();
        thread::spawn(move || {
            signals.forever().all(|_| interrupted.send(Heard::Interrupted).is_ok())
        });
        let mut stage = Self {
            context,
            directory,
            begun: Instant::now(),
            server,
            relay,
            eavesdropper,
            clients: Vec::new(),
            sender,
            heard,
            notes: Vec::new(),
            deaths: 0,
        };
        stage.introduce(args)?;
        for device in 0..DEVICES.len() {
            stage.join(device)?;
        }
        Ok(stage)
    }

    fn introduce(&mut self, args: &DemoArgs) -> Result<(), Failure> {
        let (id, address) = (self.server.id(), self.server.address());
        let relay = self.relay.address();
        let loss = args.loss;
        let label = |name: &dyn Display| padded(&name.to_string(), 8);
        self.print(&format!(
            "{DAY}{}{DAY:#}\n{DIM}{}{DIM:#}\n\n  {}  {}\n  {}  {}\n  {}  {}\n",
            say::Title { loss },
            say::Real,
            label(&say::LabelServer),
            say::AboutServer { id, address },
            label(&say::LabelNetwork),
            say::AboutNetwork { address: relay, loss },
            label(&say::LabelDevices),
            say::AboutDevices { first: DEVICES[0], second: DEVICES[1] },
        ))
    }

    /// A device of its own directory joins through the bad network, with as many attempts as that takes, then listens
    /// and delivers in the background.
    fn join(&mut self, device: usize) -> Result<(), Failure> {
        let name = DEVICES[device];
        let data_dir = self.directory.join(format!("device-{device}"));
        let line = self.server.invite(self.relay.address())?;
        let begun = Instant::now();
        let mut attempts = 1;
        while let Err(error) = join(&data_dir, &line, name, ATTEMPT_WITHIN) {
            // So that Ctrl-C is heard; nothing else is said before the first note.
            self.listen_until(Instant::now(), |_| false)?;
            if !may_be_bad_luck(&error) {
                return Err(joining::failure(&error));
            }
            if self.begun.elapsed() > JOIN_WITHIN {
                let what = say::NoJoin { name };
                return Err(Failure::new(Exit::Network, what).hint(say::TryAgain));
            }
            attempts += 1;
        }
        let took = seconds(begun.elapsed());
        let again = match attempts {
            1 => String::new(),
            attempts => say::Again { attempts }.to_string(),
        };
        let mut client = Client::open(ClientConfig {
            place: Place::Joined { data_dir: data_dir.clone() },
            data_dir,
            device: name.to_owned(),
        })
        .map_err(|error| session::failure(&error))?;
        let events = client.live().map_err(|error| session::failure(&error))?;
        let sender = self.sender.clone();
        thread::spawn(move || {
            events.into_iter().all(|event| sender.send(Heard::Live(device, event)).is_ok())
        });
        self.clients.push(client);
        self.tell(
            name,
            &format!(
                "{GOOD}{}{GOOD:#}{} {DIM}{}{again}{DIM:#}",
                verb(&say::Joins),
                say::JoinsWhat,
                say::After { time: took }
            ),
        )
    }

    /// Follows the plan, waits until everything is where it belongs, and proves it.
    fn play(mut self) -> Result<Exit, Failure> {
        let mut next_at = Instant::now();
        for (after, step) in PLAN {
            next_at += Duration::from_millis(*after);
            self.listen_until(next_at, |_| false)?;
            match step {
                Step::Write(device, text) => self.write(*device, text)?,
                Step::Kill => self.kill()?,
                Step::Restart => self.restart()?,
            }
        }
        let is_settled = |stage: &Self| {
            stage.notes.iter().all(|note| note.receipt.is_some() && note.has_arrived)
        };
        self.listen_until(Instant::now() + SETTLE_WITHIN, is_settled)?;
        self.prove()
    }

    fn write(&mut self, device: usize, text: &'static str) -> Result<(), Failure> {
        let added = self.clients[device]
            .add(text, Some(clock::now()?), Extras::new())
            .map_err(|error| session::failure(&error))?;
        let (_, _, hash) = added.change;
        self.notes.push(OnItsWay {
            written_by: device,
            written_at: Instant::now(),
            text,
            hash,
            receipt: None,
            has_arrived: false,
        });
        self.tell(DEVICES[device], &format!("{}{text}", verb(&say::Writes)))
    }

    fn kill(&mut self) -> Result<(), Failure> {
        let id = self.server.id();
        self.server.kill()?;
        self.deaths += 1;
        self.tell(
            &say::LabelServer.to_string(),
            &format!("{WAITING}{}{}{WAITING:#}", verb(&say::Killed), say::KilledWhat { id }),
        )
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.server = ServerProcess::start(&self.directory.join("server"))?;
        self.relay.set_target(self.server.address());
        let id = self.server.id();
        let back = format!("{GOOD}{}{}{GOOD:#}", verb(&say::Back), say::BackWhat { id });
        self.tell(&say::LabelServer.to_string(), &back)
    }

    /// Tells what happens until the time has come, or `is_enough`.
    fn listen_until(
        &mut self,
        until: Instant,
        is_enough: impl Fn(&Self) -> bool,
    ) -> Result<(), Failure> {
        while !is_enough(self) {
            match self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Heard::Live(device, event)) => self.on_event(device, event)?,
                Ok(Heard::Interrupted) => return Err(Failure::silent(Exit::Interrupted)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn on_event(&mut self, device: usize, event: LiveEvent) -> Result<(), Failure> {
        match event {
            LiveEvent::Delivered(receipts) => {
                for receipt in receipts {
                    let Some(note) = self.notes.iter_mut().find(|note| note.hash == receipt.hash)
                    else {
                        continue;
                    };
                    note.receipt = Some(receipt);
                    let took = seconds(note.written_at.elapsed());
                    self.tell(
                        &say::LabelServer.to_string(),
                        &format!(
                            "{}{} {DIM}{}{DIM:#}",
                            verb(&say::HasIt),
                            say::HasItWhat { receipt },
                            say::Confirmed { time: took }
                        ),
                    )?;
                }
            }
            LiveEvent::NewNotes(arrived) => {
                for arrived in arrived {
                    let wanted = |note: &&mut OnItsWay| {
                        note.text == arrived.text && note.written_by != device && !note.has_arrived
                    };
                    let Some(note) = self.notes.iter_mut().find(wanted) else { continue };
                    note.has_arrived = true;
                    let took = seconds(note.written_at.elapsed());
                    let text = shortened(note.text, 40);
                    self.tell(
                        DEVICES[device],
                        &format!(
                            "{}{text} {DIM}{}{DIM:#}",
                            verb(&say::Sees),
                            say::After { time: took }
                        ),
                    )?;
                }
            }
            LiveEvent::Offline => {
                self.tell(DEVICES[device], &format!("{DIM}{}{DIM:#}", say::Offline))?;
            }
            LiveEvent::Trouble(error) => self.tell(DEVICES[device], &session::chain(&error))?,
            // Nobody deletes anything here.
            LiveEvent::Online | LiveEvent::Refused(_) | LiveEvent::Gone(_) => {}
        }
        Ok(())
    }

    /// Stops everything, reads the files, and says what is there.
    fn prove(mut self) -> Result<Exit, Failure> {
        for client in &mut self.clients {
            client.stop_live();
        }
        self.server.kill()?;
        let network = self.relay.stats();
        let secrecy = self.eavesdropper.heard();
        let written: BTreeMap<&str, Option<Receipt>> =
            self.notes.iter().map(|note| (note.text, note.receipt)).collect();
        let proof = Proof::read(&self.directory.join("server"), &self.clients, &written)?;
        let (passed, lines) = proof.tell(&DEVICES, self.deaths, network, secrecy);
        self.print(&format!("\n{lines}"))?;
        let took = seconds(self.begun.elapsed());
        if !passed {
            return Err(
                Failure::new(Exit::Network, say::NotAll { time: took }).hint(say::NotAllHint)
            );
        }
        self.print(&format!(
            "{GOOD}✓{GOOD:#} {DAY}{}{DAY:#} {DIM}{}{DIM:#}\n  {} {DAY}suibi{DAY:#} {} {DAY}{}{DAY:#} {}",
            say::ExactlyOnce,
            say::Took { time: took },
            say::YoursNext,
            say::Opens,
            say::Idea,
            say::Keeps,
        ))?;
        Ok(Exit::Done)
    }

    /// ` 1.2 s  laptop  writes   …`
    fn tell(&mut self, who: &str, what: &str) -> Result<(), Failure> {
        let at = self.begun.elapsed().as_secs_f64();
        let padding = " ".repeat(6_usize.saturating_sub(columns(who)));
        self.print(&format!("{DIM}{at:>5.1} s{DIM:#}  {who}{padding}  {what}"))
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        let ui = &mut self.context.ui;
        writeln!(ui.out(), "{text}")?;
        ui.flush()?;
        Ok(())
    }
}

/// Whether the network alone may be what kept a device from joining.
fn may_be_bad_luck(error: &JoinError) -> bool {
    matches!(
        error,
        JoinError::NoAnswer { .. }
            | JoinError::NotConfirmed { .. }
            | JoinError::NotOurs { .. }
            | JoinError::LoopbackElsewhere { .. }
            | JoinError::Busy { .. }
    )
}

/// What somebody does, in a column.
fn verb(verb: &dyn Display) -> String {
    padded(&verb.to_string(), 9)
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// At most so many columns of `text`, with `…` where something is left out.
fn shortened(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if columns(&short) + 2 >= width {
            break;
        }
        short.push(c);
    }
    short + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_kills_and_restarts_with_notes_before_between_and_after() {
        let position =
            |wanted: fn(&Step) -> bool| PLAN.iter().position(|(_, step)| wanted(step)).unwrap();
        let kill = position(|step| matches!(step, Step::Kill));
        let restart = position(|step| matches!(step, Step::Restart));
        let writes = |steps: &[(u64, Step)], device: usize| {
            steps
                .iter()
                .filter(|(_, step)| matches!(step, Step::Write(by, _) if *by == device))
                .count()
        };
        for device in 0..2 {
            assert!(writes(&PLAN[..kill], device) > 0);
            assert!(writes(&PLAN[kill..restart], device) > 0);
            assert!(writes(&PLAN[restart..], device) > 0);
        }
        let planned: u64 = PLAN.iter().map(|(after, _)| after).sum();
        // The last attempt confirms, or finds out what silence means, beyond its time.
        let joins = JOIN_WITHIN + ATTEMPT_WITHIN + Duration::from_secs(5);
        let all = joins + Duration::from_millis(planned) + SETTLE_WITHIN;
        assert!(all < Duration::from_secs(90), "{all:?}");
        let lines = PLAN.iter().filter_map(|(_, step)| match step {
            Step::Write(_, text) => Some(columns(text)),
            _ => None,
        });
        assert!(lines.max().unwrap() <= 50, "a line would not fit 80 columns");
    }
}
