//! What is measured, and against what.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use crate::feed::{Days, Echo, Notes, Pushes, Puts};
use crate::load::{self, Loaded, Shape, Work};
use crate::message::Answer;
use crate::peers::Peer;
use crate::plot::Whose;
use crate::protected::Protected;
use crate::server::Server;
use crate::{Failure, Options, cpu, redis, sqlite};

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The case that bounds this one.
    pub(crate) limit: Option<&'static str>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Bare { shape: Shape, synced: bool },
    Notes { shape: Shape },
    ProtectedNotes { shape: Shape },
    Pushes { devices: usize, batch: usize },
    Sqlite { batch: usize },
    Store { batch: usize },
    Peer { peer: Peer, shape: Shape },
}

const ONE: Shape = Shape { sockets: 1, each: 1, joined: false };
pub(crate) const SIXTY_FOUR: Shape = Shape { sockets: 64, each: 1, joined: false };
pub(crate) const THOUSAND: Shape = Shape { sockets: 64, each: 16, joined: false };
const THOUSAND_JOINED: Shape = Shape { joined: true, ..THOUSAND };

/// Every case, in the order of the table.
pub(crate) fn all() -> Vec<Case> {
    let case = |name, limit, kind| Case { name, limit, kind };
    let peer = |name, limit, peer, shape| case(name, Some(limit), Kind::Peer { peer, shape });
    let (echo_64, echo_1024) = ("bare echo, 64 outstanding", "bare echo, 1,024 outstanding");
    let (sqlite_64, sqlite_256) = ("SQLite alone, 64 a commit", "SQLite alone, 256 a commit");
    let echo_joined = "bare echo with GRO and GSO, 1,024 outstanding";
    let sqlite_1024 = "SQLite alone, 1,024 a commit";
    let synced = "bare echo after fdatasync, one at a time";
    let (notes_64, notes_1024) = ("POST /notes, 64 outstanding", "POST /notes, 1,024 outstanding");
    vec![
        case(echo_64, None, Kind::Bare { shape: SIXTY_FOUR, synced: false }),
        case(echo_1024, None, Kind::Bare { shape: THOUSAND, synced: false }),
        case(notes_64, Some(echo_64), Kind::Notes { shape: SIXTY_FOUR }),
        case(
            "the same under OSCORE, 64 outstanding",
            Some(notes_64),
            Kind::ProtectedNotes { shape: SIXTY_FOUR },
        ),
        case(notes_1024, Some(echo_1024), Kind::Notes { shape: THOUSAND }),
        case(
            "the same under OSCORE, 1,024 outstanding",
            Some(notes_1024),
            Kind::ProtectedNotes { shape: THOUSAND },
        ),
        case(echo_joined, None, Kind::Bare { shape: THOUSAND_JOINED, synced: false }),
        case(
            "POST /notes from clients with GRO and GSO, 1,024 outstanding",
            Some(echo_joined),
            Kind::Notes { shape: THOUSAND_JOINED },
        ),
        peer("libcoap's server, 64 outstanding", echo_64, Peer::Libcoap, SIXTY_FOUR),
        peer("libcoap's server, 1,024 outstanding", echo_1024, Peer::Libcoap, THOUSAND),
        peer("coap-rs's server, 64 outstanding", echo_64, Peer::CoapRs, SIXTY_FOUR),
        peer("coap-rs's server, 1,024 outstanding", echo_1024, Peer::CoapRs, THOUSAND),
        peer("aiocoap's server, 64 outstanding", echo_64, Peer::Aiocoap, SIXTY_FOUR),
        peer("Redis, appendfsync always, 64 outstanding", echo_64, Peer::Redis, SIXTY_FOUR),
        peer("Redis, appendfsync always, 1,024 outstanding", echo_1024, Peer::Redis, THOUSAND),
        case(sqlite_64, None, Kind::Sqlite { batch: 64 }),
        case(sqlite_256, None, Kind::Sqlite { batch: 256 }),
        case(sqlite_1024, None, Kind::Sqlite { batch: 1_024 }),
        case("store alone, 64 a commit", Some(sqlite_64), Kind::Store { batch: 64 }),
        case("store alone, 1,024 a commit", Some(sqlite_1024), Kind::Store { batch: 1_024 }),
        case(
            "POST /feed, 4 a datagram, 64 outstanding",
            Some(sqlite_256),
            Kind::Pushes { devices: 64, batch: 4 },
        ),
        case(
            "POST /feed, 200 in blocks, 16 outstanding",
            Some(sqlite_1024),
            Kind::Pushes { devices: 16, batch: 200 },
        ),
        case(synced, None, Kind::Bare { shape: ONE, synced: true }),
        case("POST /notes, one at a time", Some(synced), Kind::Notes { shape: ONE }),
    ]
}

/// What one turn of one case came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Notes, or echoes.
    pub(crate) notes: u64,
    pub(crate) wall: Duration,
    /// Processor time until everything could be listed by day, by thread.
    pub(crate) cpu: BTreeMap<String, Duration>,
    /// Processor time after that until the server was idle, if this turn has waited for it: the
    /// full-text index.
    pub(crate) cpu_after: Option<Duration>,
    pub(crate) resident_kib: Option<u64>,
    /// How the requests went, if there were any.
    pub(crate) loaded: Option<Loaded>,
}

impl Figures {
    /// Notes per second of processor time.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.notes as f64 / self.cpu.values().sum::<Duration>().as_secs_f64()
    }
}

impl Case {
    pub(crate) fn whose(&self) -> Whose {
        match self.kind {
            Kind::Bare { .. } | Kind::Sqlite { .. } => Whose::Limit,
            Kind::Notes { .. }
            | Kind::ProtectedNotes { .. }
            | Kind::Pushes { .. }
            | Kind::Store { .. } => Whose::Ours,
            Kind::Peer { .. } => Whose::Peer,
        }
    }

    /// Whose program it needs, if not ours.
    pub(crate) fn peer(&self) -> Option<Peer> {
        match self.kind {
            Kind::Peer { peer, .. } => Some(peer),
            _ => None,
        }
    }

    /// One turn; with `until_idle` it ends when the server has nothing more to do.
    pub(crate) fn run(&self, options: &Options, until_idle: bool) -> Result<Figures, Failure> {
        let data = tempfile::tempdir_in(&options.dir)?;
        match self.kind {
            Kind::Bare { shape, synced } => {
                let journal = synced.then(|| data.path().join("journal"));
                let server = if shape.joined {
                    Server::bare_joined()?
                } else {
                    Server::bare(journal.as_deref())?
                };
                let figures = Self::load(&server, shape, options, &mut Echo)?;
                Ok(Figures { notes: figures.loaded.as_ref().map_or(0, |l| l.requests), ..figures })
            }
            Kind::Notes { shape } => {
                let server = Server::suibi(&options.server, data.path())?;
                let figures = Self::load(&server, shape, options, &mut Notes)?;
                Self::all_are_kept(server, data.path(), figures, &mut Days, until_idle)
            }
            Kind::ProtectedNotes { shape } => {
                let (server, owner) = Server::protected(&options.server, data.path())?;
                let peer = server.address.into();
                let mut work = Protected::new(Notes, peer, shape.sockets, &owner)?;
                let figures = Self::load(&server, shape, options, &mut work)?;
                let mut days = Protected::new(Days, peer, 1, &owner)?;
                Self::all_are_kept(server, data.path(), figures, &mut days, until_idle)
            }
            Kind::Pushes { devices, batch } => {
                let server = Server::suibi(&options.server, data.path())?;
                let mut work = Pushes::new(devices, batch);
                let shape = Shape { sockets: devices, each: 1, joined: false };
                let figures = Self::load(&server, shape, options, &mut work)?;
                let figures = Self::settle(server, figures, &mut Days, until_idle)?;
                sqlite::verify(data.path(), work.acknowledged().iter().copied())?;
                Ok(Figures { notes: work.acknowledged().len() as u64, ..figures })
            }
            Kind::Sqlite { batch } => sqlite::alone(data.path(), batch, options.turn)
                .map(|inserted| Self::inserted(inserted, "SQLite")),
            Kind::Store { batch } => sqlite::store(data.path(), batch, options.turn)
                .map(|inserted| Self::inserted(inserted, "store")),
            Kind::Peer { peer, shape } => Self::run_peer(peer, shape, options, data.path()),
        }
    }

    fn run_peer(
        peer: Peer,
        shape: Shape,
        options: &Options,
        data: &Path,
    ) -> Result<Figures, Failure> {
        let server = peer.serve(options, data)?;
        let figures = match peer {
            Peer::Redis => {
                Self::loaded(&server, || redis::run(server.address, shape, options.turn))?
            }
            Peer::Libcoap => Self::load(&server, shape, options, &mut Puts)?,
            _ => Self::load(&server, shape, options, &mut Notes)?,
        };
        let notes = figures.loaded.as_ref().map_or(0, |loaded| loaded.requests);
        // The others store nothing.
        if peer == Peer::Redis {
            redis::verify(server.address, notes)?;
        }
        Ok(Figures { notes, ..figures })
    }

    fn inserted(inserted: sqlite::Inserted, thread: &str) -> Figures {
        Figures {
            notes: inserted.notes,
            wall: inserted.wall,
            cpu: BTreeMap::from([(thread.to_owned(), inserted.cpu)]),
            ..Figures::default()
        }
    }

    fn load(
        server: &Server,
        shape: Shape,
        options: &Options,
        work: &mut dyn Work,
    ) -> Result<Figures, Failure> {
        Self::loaded(server, || load::run(server.address, shape, options.turn, work))
    }

    /// What the server uses while `load` runs.
    fn loaded(
        server: &Server,
        load: impl FnOnce() -> Result<Loaded, Failure>,
    ) -> Result<Figures, Failure> {
        let before = cpu::by_thread(server.id())?;
        let loaded = load()?;
        let mut cpu = cpu::by_thread(server.id())?;
        for (thread, used) in &mut cpu {
            *used -= before.get(thread).copied().unwrap_or_default();
        }
        let resident_kib = Some(cpu::resident_kib(server.id())?);
        Ok(Figures {
            wall: loaded.wall,
            cpu,
            resident_kib,
            loaded: Some(loaded),
            ..Figures::default()
        })
    }

    /// What a turn of single notes came to, once all of them are found in the store.
    fn all_are_kept(
        server: Server,
        data: &Path,
        figures: Figures,
        days: &mut dyn Work,
        until_idle: bool,
    ) -> Result<Figures, Failure> {
        let notes = figures.loaded.as_ref().map_or(0, |loaded| loaded.requests);
        let figures = Self::settle(server, figures, days, until_idle)?;
        sqlite::verify(data, 0..u32::try_from(notes)?)?;
        Ok(Figures { notes, ..figures })
    }

    /// Lets the server count the days, so that nothing that listing by day needs is still to be
    /// done, and then, if asked to, what it does when it is idle; then ends it.
    fn settle(
        server: Server,
        mut figures: Figures,
        days: &mut dyn Work,
        until_idle: bool,
    ) -> Result<Figures, Failure> {
        let before = cpu::by_thread(server.id())?;
        ask_for_days(&server, days)?;
        let counted = cpu::by_thread(server.id())?;
        for (thread, used) in &counted {
            let before = before.get(thread).copied().unwrap_or_default();
            *figures.cpu.entry(thread.clone()).or_default() += *used - before;
        }
        let counted: Duration = counted.into_values().sum();
        if until_idle {
            figures.cpu_after = Some(cpu::until_idle(server.id())? - counted);
        }
        server.stop()?;
        Ok(figures)
    }
}

/// `GET /days`, until it is answered.
fn ask_for_days(server: &Server, days: &mut dyn Work) -> Result<(), Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server.address)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut buf = [0; 4_096];
    for id in 0..10 {
        socket.send(&days.request(0, id, id.into()))?;
        while let Ok(len) = socket.recv(&mut buf) {
            let answer = Answer::decode(&buf[..len]).ok_or("not an answer to GET /days")?;
            // An empty acknowledgement: the answer follows by itself.
            if answer.token.is_some() {
                return days.check(id.into(), &answer);
            }
        }
    }
    Err("the server does not answer GET /days".into())
}
