//! `suibi serve`: the server alone, encrypted for everybody who was invited; unprotected only where that is named.

mod plain_spec;

use clap::Args;
use suibi_server::plain::PlainRules;
use suibi_server::{
    Config, Listen, ListenerInfo, ListenerKind, PlainListen, Reach, ServeError, ServeErrorKind,
    Server, StopSignal, database,
};

use super::Context;
use crate::errors::told;
use crate::failure::{Exit, Failure};
use crate::lang::{self, Language};
use crate::say::serve as say;
use crate::settings::{Key, Settings};
use plain_spec::PlainSpec;

/// Where it listens when nothing was named: every interface, the port of CoAP (RFC 7252 §12.6).
const DEFAULT_LISTEN: &str = ":5683";

/// `suibi serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Devices that were invited come in at --listen, encrypted, and nobody else; where
no listener is named, that is --listen :5683. In another terminal, suibi invite
lets a device in. The other listeners are unprotected, and there only when you
name them.

ADDR is HOST:PORT: 127.0.0.1:4242, localhost:4242, [::]:5683, a host name, :5683
(every interface, IPv4 and IPv6); port 0 lets the system pick. After --plain
ADDR, options for that listener alone:
ADDR,reply=always|never|auto,words=course|compat,max=BYTES,anyone

Examples:
  suibi serve                                   on every interface, encrypted
  suibi serve --listen 192.168.1.5:5683 --plain 127.0.0.1:4242
  suibi serve --insecure-coap 127.0.0.1:5683    for coap-client on this machine

Ctrl-C (SIGINT) or SIGTERM ends it; what was acknowledged is on disk.")]
pub(super) struct ServeArgs {
    /// Let invited devices in here, encrypted (OSCORE) [default: :5683]
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Speak CoAP here, without encryption: whoever reaches it can read and write
    #[arg(long, value_name = "ADDR")]
    insecure_coap: Vec<String>,
    /// Speak the plain dialect here: one datagram is one note (nc -u is a client)
    #[arg(long, value_name = "ADDR[,…]")]
    plain: Vec<String>,
    /// Which words ask for the history: course (r, sync), or compat (old clients' words as well)
    #[arg(long, value_name = "course|compat")]
    plain_words: Option<String>,
    /// Whether notes are answered: auto (by the first datagram of an address), always, never
    #[arg(long, value_name = "auto|always|never")]
    plain_reply: Option<String>,
    /// The longest history datagram, in bytes [default: 1024]
    #[arg(long, value_name = "BYTES")]
    plain_max: Option<String>,
    /// Let the plain listeners be reached from other machines
    #[arg(long)]
    plain_anyone: bool,
}

impl ServeArgs {
    fn into_settings(self, settings: &mut Settings) {
        settings.flag(Key::Listen, self.listen);
        settings.flag(Key::InsecureCoap, self.insecure_coap);
        settings.flag(Key::Plain, self.plain);
        settings.flag(Key::PlainWords, self.plain_words);
        settings.flag(Key::PlainReply, self.plain_reply);
        settings.flag(Key::PlainMax, self.plain_max);
        settings.flag(Key::PlainAnyone, self.plain_anyone.then(|| "true".to_owned()));
    }
}

pub(super) fn run(args: ServeArgs, context: &mut Context) -> Result<Exit, Failure> {
    let settings = &mut context.settings;
    args.into_settings(settings);
    let mut listen = settings.list(Key::Listen)?;
    let coap = settings.list(Key::InsecureCoap)?;
    let plain = PlainSpec::all(settings)?;
    if listen.is_empty() && coap.is_empty() && plain.is_empty() {
        listen.push(DEFAULT_LISTEN.to_owned());
    }
    let data_dir = settings.journal_dir()?;
    let is_first_start = !database(&data_dir).exists();
    let mut config = Config::new(data_dir);
    config.device = settings.device()?;
    config.listen = listen.into_iter().map(|address| Listen { address }).collect();
    config.coap = coap.into_iter().map(|address| Listen { address }).collect();
    config.plain = plain.into_iter().map(PlainListen::from).collect();
    // Before the first listener is open, so that no signal finds us half started.
    let stop = StopSignal::on_termination()?;
    let server = Server::bind(config).map_err(|error| failure(&error))?;
    for listener in server.listeners() {
        context.ui.say(line(listener));
    }
    if is_first_start {
        context.ui.say(first_words(server.listeners()));
    }
    context.ui.say("ready");
    server.run(stop).map_err(|error| failure(&error))?;
    Ok(Exit::Done)
}

/// What a listener speaks and who reaches it. Programs read the first words, which are the same in every language.
fn line(listener: &ListenerInfo) -> String {
    if lang::current() == Language::English {
        return listener.to_string();
    }
    let ListenerInfo { kind, address, reach, tcp } = listener;
    let speaks = match (kind, tcp) {
        (ListenerKind::Plain, _) => "纯文本",
        (_, true) => "CoAP（UDP 和 TCP）",
        (_, false) => "CoAP（仅 UDP，它的 TCP 端口已被占用）",
    };
    let who = match (kind, reach) {
        (ListenerKind::Oscore, Reach::ThisMachine) => "已加密，仅供本机",
        (ListenerKind::Oscore, Reach::OneAddress) => "已加密，供受邀的设备使用，在这个地址",
        (ListenerKind::Oscore, Reach::EveryInterface) => {
            "已加密，供受邀的设备使用，在本机的所有地址"
        }
        (_, Reach::ThisMachine) => "不加保护，仅本机能连到",
        (_, Reach::OneAddress) => "不加保护，能连到这个地址的人都能用",
        (_, Reach::EveryInterface) => "不加保护，能连到本机任一地址的人都能用",
    };
    format!("{kind} {address}, {speaks}，{who}")
}

/// What the owner of a new server does next.
fn first_words(listeners: &[ListenerInfo]) -> String {
    let is_for_others = |listener: &ListenerInfo| {
        listener.kind == ListenerKind::Oscore && listener.reach != Reach::ThisMachine
    };
    match listeners.iter().any(is_for_others) {
        true => say::FirstForOthers.to_string(),
        false => say::FirstForThis.to_string(),
    }
}

impl From<PlainSpec> for PlainListen {
    fn from(spec: PlainSpec) -> Self {
        let rules = PlainRules {
            words: spec.words.parse().expect("the settings have checked it"),
            reply: spec.reply.parse().expect("the settings have checked it"),
            max_bytes: spec.max_bytes,
        };
        Self { address: spec.address, rules, anyone: spec.anyone }
    }
}

/// What a person is told when the server does not start, or ends.
fn failure(error: &ServeError) -> Failure {
    let exit = match error.kind() {
        ServeErrorKind::Usage => Exit::Usage,
        ServeErrorKind::Network | ServeErrorKind::InUse => Exit::Network,
        ServeErrorKind::Data | ServeErrorKind::System => Exit::Data,
    };
    Failure::new(exit, told(error))
}
