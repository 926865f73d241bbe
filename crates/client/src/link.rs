//! The way to the server, wherever it is: found when needed, found again when lost.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use suibi_coap::{Code, Request, Response};
use suibi_journal::admission::DEVICE_REVOKED;
use suibi_oscore::{ClientContext, Hint};

use crate::error::ClientError;
use crate::host::{self, Door, Found, Host};
use crate::membership::Membership;
use crate::place::{self, Place};
use crate::remote::{CallId, Patience, Remote, RemoteError};
use crate::sync::AskId;

/// How long to let hosts change before looking again.
const BETWEEN: Duration = Duration::from_millis(10);

/// The half of the ID Context that a server draws at each of its starts (R2).
pub(crate) type Epoch = [u8; 8];

/// The way to one server.
pub(crate) struct Link {
    place: Place,
    device: String,
    pub(crate) remote: Remote,
    /// Whose device we are, in a joined place.
    membership: Option<Membership>,
    /// What protects our requests; none towards a listener without protection.
    context: Option<ClientContext>,
    /// The way into the embedded server, once found.
    door: Option<Door>,
    /// The server in this very process, if we are the host.
    host: Option<Host>,
    /// Whether the remote has addresses that are believed.
    is_found: bool,
    /// Rises whenever what was asked before is not answered any more: observations have to begin anew.
    pub(crate) generation: u64,
}

impl Link {
    /// `membership` for a joined place, with what the server drew last as far as we know.
    pub(crate) fn new(
        place: Place,
        device: String,
        membership: Option<Membership>,
        epoch: Option<Epoch>,
    ) -> Result<Self, ClientError> {
        let mut remote = Remote::new().map_err(RemoteError::Io)?;
        let mut context = None;
        if let Some(Membership { id, secret, .. }) = &membership {
            let seed = crate::remote::seed().map_err(RemoteError::Io)?;
            let ours = ClientContext::new(*id, secret.clone(), epoch, seed);
            remote.protect(&ours).map_err(RemoteError::Io)?;
            context = Some(ours);
        }
        Ok(Self {
            place,
            device,
            remote,
            membership,
            context,
            door: None,
            host: None,
            is_found: false,
            generation: 0,
        })
    }

    /// Finds the server (in the embedded place: or becomes it) and says where it is. Sends nothing.
    pub(crate) fn find(&mut self, deadline: Instant) -> Result<(), ClientError> {
        if self.is_found && self.is_still_there() {
            return Ok(());
        }
        self.lose();
        let candidates = match (&self.place, &self.membership) {
            (Place::Server { address }, _) | (_, Some(Membership { address, .. })) => {
                place::look_up(address, left(deadline))?
            }
            (Place::Embedded { data_dir } | Place::Joined { data_dir }, None) => {
                let door = match host::find_or_become(data_dir, &self.device, deadline)? {
                    Found::Running(door) => door,
                    Found::Hosting(host) => self.host.insert(host).door().clone(),
                };
                self.enter(&door)?;
                self.door.insert(door).addresses.clone()
            }
        };
        self.remote.connect(&candidates)?;
        self.is_found = true;
        Ok(())
    }

    /// Each embedded server has a credential of its own.
    fn enter(&mut self, door: &Door) -> Result<(), ClientError> {
        let seed = crate::remote::seed().map_err(RemoteError::Io)?;
        let local = &door.credential;
        let ours = ClientContext::new(local.id, local.secret.clone(), Some(local.epoch), seed);
        self.remote.protect(&ours).map_err(RemoteError::Io)?;
        self.context = Some(ours);
        Ok(())
    }

    /// Asks the server and waits for its answer; when the embedded server ends meanwhile, its successor is asked
    /// the same.
    pub(crate) fn call(
        &mut self,
        request: &Request,
        patience: Patience,
    ) -> Result<Response, ClientError> {
        let mut asking = self.asking(|| patience);
        asking.ask(AskId::default(), request.clone(), false);
        asking.next().map(|(_, response)| response)
    }

    /// Asks several things at once; `patience` says how long each answer is waited for.
    pub(crate) fn asking<P: Fn() -> Patience>(&mut self, patience: P) -> Asking<'_, P> {
        Asking { link: self, patience, open: BTreeMap::new() }
    }

    /// An answer, unless it says that this device has nothing to ask any more. That is believed, since all that a member
    /// gets as an answer was protected by its server.
    pub(crate) fn admitted(&self, response: Response) -> Result<Response, ClientError> {
        match &self.membership {
            Some(Membership { device, server, .. })
                if response.code == Code::FORBIDDEN && response.text() == DEVICE_REVOKED =>
            {
                Err(ClientError::Revoked { device: device.clone(), server: server.clone() })
            }
            _ => Ok(response),
        }
    }

    /// Forgets where the server is; a server of our own that has ended is put away.
    pub(crate) fn lose(&mut self) {
        self.is_found = false;
        self.generation += 1;
        self.remote.disconnect();
        self.door = None;
        self.host = None;
    }

    pub(crate) fn is_still_there(&self) -> bool {
        is_still_there(&self.place, self.host.as_ref(), self.door.as_ref())
    }

    pub(crate) fn is_host(&self) -> bool {
        self.host.is_some()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// What the server of a membership drew at its last start, as far as it has proved that.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.membership.as_ref().and(self.context.as_ref())?.epoch()
    }

    /// What came without any proof of who sent it.
    pub(crate) fn hint(&self) -> Option<Hint> {
        self.context.as_ref()?.hint()
    }
}

/// Requests that are under way. What is not answered when this is dropped is forgotten.
pub(crate) struct Asking<'l, P> {
    link: &'l mut Link,
    patience: P,
    open: BTreeMap<AskId, Open>,
}

/// One of them.
struct Open {
    request: Request,
    bulk: bool,
    /// Under which number it went out, and in which generation of the link.
    sent: Option<(CallId, u64)>,
}

impl<P: Fn() -> Patience> Asking<'_, P> {
    /// Asks; [`Asking::next`] sends it.
    pub(crate) fn ask(&mut self, ask: AskId, request: Request, bulk: bool) {
        self.open.insert(ask, Open { request, bulk, sent: None });
    }

    /// The next answer, whichever it is. When the embedded server ends meanwhile, its successor is asked the same.
    pub(crate) fn next(&mut self) -> Result<(AskId, Response), ClientError> {
        let patience = (self.patience)();
        loop {
            self.link.find(patience.deadline)?;
            let Link { remote, place, host, door, generation, .. } = &mut *self.link;
            for open in self.open.values_mut() {
                if open.sent.is_none_or(|(_, sent_in)| sent_in != *generation) {
                    open.sent = Some((remote.begin(open.request.clone(), open.bulk), *generation));
                }
            }
            let answer = remote
                .next_while(patience, &mut || is_still_there(place, host.as_ref(), door.as_ref()));
            let error = match answer {
                Ok((call, response)) => {
                    let is_it = |open: &Open| open.sent.is_some_and(|(sent, _)| sent == call);
                    let ask = self.open.iter().find(|(_, open)| is_it(open)).map(|(ask, _)| *ask);
                    // Of somebody who asked before and did not wait.
                    let Some(ask) = ask else { continue };
                    self.open.remove(&ask);
                    return Ok((ask, self.link.admitted(response)?));
                }
                Err(error) => error,
            };
            // At that address somebody else may be by now: it is looked up again before the next request.
            self.link.is_found = false;
            let is_between = matches!(error, RemoteError::Gone)
                || self.link.door.is_some() && matches!(error, RemoteError::Unreachable(_));
            if !is_between || left(patience.deadline) <= BETWEEN {
                return Err(error.into());
            }
            // One host ends, another one begins.
            thread::sleep(BETWEEN);
        }
    }
}

impl<P> Drop for Asking<'_, P> {
    fn drop(&mut self) {
        self.link.remote.drop_calls();
    }
}

/// Whether the embedded server that we talk to is still the one that holds the lock; a server elsewhere tells by
/// its silence alone.
fn is_still_there(place: &Place, host: Option<&Host>, door: Option<&Door>) -> bool {
    match (place, host) {
        (Place::Server { .. } | Place::Joined { .. }, _) => true,
        (Place::Embedded { .. }, Some(host)) => host.is_running(),
        (Place::Embedded { data_dir }, None) => {
            door.is_some_and(|door| host::is_still(data_dir, door))
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
