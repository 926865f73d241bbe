//! The work that a note is to the server, divided by whose work it is.
//!
//! The whole is measured: the processor time of all threads of the server, from the first request until it is idle,
//! the index included. How it divides is what a sampling profiler saw meanwhile, so the parts always sum to
//! the whole; what the profiler could not tell is a part of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::cases::{SIXTY_FOUR, THOUSAND};
use crate::feed::{Notes, Pushes};
use crate::load::{self, Shape, Work};
use crate::profile::{Layer, Profile, Samples};
use crate::protected::Protected;
use crate::server::Server;
use crate::stacks::{Stack, Stacks};
use crate::table::Table;
use crate::{Failure, Options, cpu};

pub(crate) const NAME: &str = "layers";

/// What is divided.
const CASES: [(&str, Load); 5] = [
    ("POST /notes, 64", Load::Notes(SIXTY_FOUR)),
    ("under OSCORE, 64", Load::Protected(SIXTY_FOUR)),
    ("POST /notes, 1,024", Load::Notes(THOUSAND)),
    ("under OSCORE, 1,024", Load::Protected(THOUSAND)),
    ("POST /feed, 4 a datagram", Load::Pushes { devices: 64, batch: 4 }),
];

#[derive(Debug, Clone, Copy)]
enum Load {
    Notes(Shape),
    Protected(Shape),
    Pushes { devices: usize, batch: usize },
}

/// What all rounds of one case came to.
#[derive(Debug, Clone, Default)]
struct Divided {
    notes: u64,
    cpu: Duration,
    /// The part of it in the kernel, as the kernel itself accounts for it.
    system: Duration,
    samples: Samples,
}

pub(crate) fn run(options: &Options) -> Result<Table, Failure> {
    let mut all = vec![Divided::default(); CASES.len()];
    for round in 1..=options.rounds {
        for ((name, load), divided) in CASES.iter().zip(&mut all) {
            options.tell(round, name);
            divided.add(turn(options, *load)?);
        }
    }
    let mut columns = vec!["us CPU per note"];
    columns.extend(CASES.map(|(name, _)| name));
    let mut table = Table::new(NAME, &columns);
    let parts: Vec<_> = all.iter().map(Divided::parts).collect();
    let wholes: Vec<_> = all.iter().map(Divided::micros).collect();
    for layer in Layer::ALL {
        let of = |parts: &BTreeMap<Layer, f64>| parts.get(&layer).copied().unwrap_or_default();
        let cells = parts.iter().zip(&wholes).map(|(parts, whole)| {
            let micros = of(parts);
            format!("{micros:.2} ({:.0} %)", 100.0 * micros / whole)
        });
        table.row([layer.name().to_owned()].into_iter().chain(cells));
    }
    let name = |name: &str| format!("**{name}**");
    let cells = wholes.iter().map(|whole| format!("**{whole:.1}**"));
    table.row([name("the whole, as measured")].into_iter().chain(cells));
    let samples = all.iter().map(|divided| divided.samples.values().sum::<u64>().to_string());
    table.row(["samples".to_owned()].into_iter().chain(samples));
    let stack = |((name, _), parts): (&(&str, Load), &BTreeMap<Layer, f64>)| Stack {
        label: (*name).to_owned(),
        parts: Layer::ALL.map(|layer| parts.get(&layer).copied().unwrap_or_default()).to_vec(),
    };
    table.picture(Stacks {
        name: "layers",
        title: "processor time of a note in the server, microseconds, by layer".to_owned(),
        parts: Layer::ALL.map(Layer::name).to_vec(),
        stacks: CASES.iter().zip(&parts).map(stack).collect(),
    });
    Ok(table)
}

impl Divided {
    fn add(&mut self, other: Self) {
        self.notes += other.notes;
        self.cpu += other.cpu;
        self.system += other.system;
        for (layer, count) in other.samples {
            *self.samples.entry(layer).or_default() += count;
        }
    }

    /// The whole, in microseconds per note.
    fn micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.notes as f64
    }

    /// What each layer has of it, in microseconds per note. Together they are the whole.
    fn parts(&self) -> BTreeMap<Layer, f64> {
        let in_kernel = [Layer::Sockets, Layer::Files, Layer::Kernel];
        let mut weights: BTreeMap<Layer, f64> =
            self.samples.iter().map(|(layer, count)| (*layer, *count as f64)).collect();
        if weights.is_empty() {
            weights.insert(Layer::Unknown, 1.0);
        }
        // A profiler without rights sees no kernel: its part is then what the kernel says of itself.
        if !in_kernel.iter().any(|layer| weights.contains_key(layer)) {
            let share = self.system.as_secs_f64() / self.cpu.as_secs_f64();
            let share = share.clamp(0.0, 0.99);
            let seen: f64 = weights.values().sum();
            weights.insert(Layer::Kernel, seen * share / (1.0 - share));
        }
        let all: f64 = weights.values().sum();
        let whole = self.micros();
        weights.into_iter().map(|(layer, weight)| (layer, whole * weight / all)).collect()
    }
}

/// One turn of one case.
fn turn(options: &Options, load: Load) -> Result<Divided, Failure> {
    let data = tempfile::tempdir_in(&options.dir)?;
    match load {
        Load::Notes(shape) => {
            let server = Server::suibi(&options.server, data.path())?;
            divide(options, data.path(), server, shape, 1, &mut Notes)
        }
        Load::Protected(shape) => {
            let (server, owner) = Server::protected(&options.server, data.path())?;
            let mut work = Protected::new(Notes, server.address.into(), shape.sockets, &owner)?;
            divide(options, data.path(), server, shape, 1, &mut work)
        }
        Load::Pushes { devices, batch } => {
            let server = Server::suibi(&options.server, data.path())?;
            let shape = Shape { sockets: devices, each: 1, joined: false };
            let mut work = Pushes::new(devices, batch);
            divide(options, data.path(), server, shape, batch as u64, &mut work)
        }
    }
}

fn divide(
    options: &Options,
    data: &Path,
    server: Server,
    shape: Shape,
    notes_per_request: u64,
    work: &mut dyn Work,
) -> Result<Divided, Failure> {
    let profile = Profile::start(server.id(), data);
    let before = (cpu::of_process(server.id())?, cpu::in_kernel(server.id())?);
    let loaded = load::run(server.address, shape, options.turn, work)?;
    let cpu = cpu::until_idle(server.id())? - before.0;
    let system = cpu::in_kernel(server.id())?.saturating_sub(before.1);
    let samples = profile.map(Profile::finish).transpose()?.unwrap_or_default();
    server.stop()?;
    Ok(Divided { notes: loaded.requests * notes_per_request, cpu, system, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(samples: &[(Layer, u64)]) -> Divided {
        let (cpu, system) = (Duration::from_millis(30), Duration::from_millis(12));
        Divided { notes: 1_000, cpu, system, samples: samples.iter().copied().collect() }
    }

    #[test]
    fn the_parts_sum_to_the_whole() {
        let of = |samples: &[(Layer, u64)]| {
            let parts = divided(samples).parts();
            let sum: f64 = parts.values().sum();
            assert!((sum - 30.0).abs() < 1e-9, "{parts:?}");
            parts
        };
        let parts = of(&[(Layer::Sockets, 10), (Layer::Sqlite, 15), (Layer::Unknown, 5)]);
        assert!((parts[&Layer::Sockets] - 10.0).abs() < 1e-9);
        assert!((parts[&Layer::Unknown] - 5.0).abs() < 1e-9);
        // Nothing seen of the kernel, and nothing at all.
        let parts = of(&[(Layer::Sqlite, 15), (Layer::Coap, 15)]);
        assert!((parts[&Layer::Kernel] - 12.0).abs() < 1e-9 && parts[&Layer::Coap] > 8.9);
        let parts = of(&[]);
        assert!((parts[&Layer::Kernel] - 12.0).abs() < 1e-9);
        assert!((parts[&Layer::Unknown] - 18.0).abs() < 1e-9);
    }
}
