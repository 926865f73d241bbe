//! `suibi serve`: the server alone, on the listeners that are named.

mod plain_spec;

use clap::Args;
use suibi_server::plain::PlainRules;
use suibi_server::{Config, Listen, PlainListen, ServeError, ServeErrorKind, Server, StopSignal};

use super::Context;
use crate::failure::{Exit, Failure};
use crate::settings::{Key, Settings};
use plain_spec::PlainSpec;

/// `suibi serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
ADDR is HOST:PORT: 127.0.0.1:4242, localhost:4242, [::]:5683, a host name, :5683 (every interface,
IPv4 and IPv6); port 0 lets the system pick. After --plain ADDR, options for that listener alone:
ADDR,reply=always|never|auto,words=course|compat,max=BYTES,anyone

Examples:
  suibi serve --insecure-coap 127.0.0.1:5683
  suibi serve --plain 127.0.0.1:4242,words=compat --plain 127.0.0.1:4243,reply=always

SIGINT or SIGTERM ends it; what was acknowledged is on disk.")]
pub(super) struct ServeArgs {
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
    let coap = settings.list(Key::InsecureCoap)?;
    let plain = PlainSpec::all(settings)?;
    if coap.is_empty() && plain.is_empty() {
        return Err(Failure::usage("there is nothing to listen on").hint(
            "name a listener: suibi serve --insecure-coap 127.0.0.1:5683 --plain 127.0.0.1:4242",
        ));
    }
    let mut config = Config::new(settings.journal_dir()?);
    config.device = settings.device()?;
    config.coap = coap.into_iter().map(|address| Listen { address }).collect();
    config.plain = plain.into_iter().map(PlainListen::from).collect();
    // Before the first listener is open, so that no signal finds us half started.
    let stop = StopSignal::on_termination()?;
    let server = Server::bind(config).map_err(|error| failure(&error))?;
    for listener in server.listeners() {
        context.ui.say(listener);
    }
    context.ui.say("ready");
    server.run(stop).map_err(|error| failure(&error))?;
    Ok(Exit::Done)
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
    Failure::new(exit, error.to_string())
}
