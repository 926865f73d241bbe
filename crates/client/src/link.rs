//! The way to the server, wherever it is: found when needed, found again when lost.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use suibi_coap::{Request, Response};

use crate::client::ClientError;
use crate::host::{self, Found, Host};
use crate::membership::Membership;
use crate::place::{self, Place};
use crate::remote::{Patience, Remote, RemoteError};

/// How long to let hosts change before looking again.
const BETWEEN: Duration = Duration::from_millis(10);

/// The way to one server.
pub(crate) struct Link {
    place: Place,
    device: String,
    membership: Option<Membership>,
    pub(crate) remote: Remote,
    /// The server in this very process, if we are the host.
    host: Option<Host>,
    /// Whether the remote has addresses that are believed.
    is_found: bool,
}

impl Link {
    pub(crate) fn new(
        place: Place,
        device: String,
        membership: Option<Membership>,
    ) -> Result<Self, ClientError> {
        let remote = Remote::new().map_err(RemoteError::Io)?;
        Ok(Self { place, device, membership, remote, host: None, is_found: false })
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
                match host::find_or_become(data_dir, &self.device, deadline)? {
                    Found::Running(addresses) => addresses,
                    Found::Hosting(host) => {
                        let address = host.address();
                        self.host = Some(host);
                        vec![address]
                    }
                }
            }
        };
        self.remote.connect(&candidates)?;
        self.is_found = true;
        Ok(())
    }

    /// Asks the server and waits for its answer; when the embedded server ends meanwhile, its successor is asked
    /// the same.
    pub(crate) fn call(
        &mut self,
        request: &Request,
        patience: Patience,
    ) -> Result<Response, ClientError> {
        let deadline = patience.deadline;
        loop {
            self.find(deadline)?;
            let Self { remote, place, host, .. } = self;
            let answer =
                remote.call_while(request, patience, || is_still_there(place, host.as_ref(), None));
            let error = match answer {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            // At that address somebody else may be by now: it is looked up again before the next request.
            self.is_found = false;
            let is_between = matches!(error, RemoteError::Gone)
                || self.is_embedded() && matches!(error, RemoteError::Unreachable(_));
            if !is_between || left(deadline) <= BETWEEN {
                return Err(error.into());
            }
            // One host ends, another one begins.
            thread::sleep(BETWEEN);
        }
    }

    /// Forgets where the server is; a server of our own that has ended is put away.
    pub(crate) fn lose(&mut self) {
        self.is_found = false;
        self.remote.disconnect();
        self.host = None;
    }

    pub(crate) fn is_still_there(&self) -> bool {
        is_still_there(&self.place, self.host.as_ref(), self.remote.address())
    }

    fn is_embedded(&self) -> bool {
        matches!(self.place, Place::Embedded { .. })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn is_host(&self) -> bool {
        self.host.is_some()
    }
}

/// Whether the embedded server that we talk to is still the one that holds the lock; a server elsewhere tells by
/// its silence alone.
fn is_still_there(place: &Place, host: Option<&Host>, address: Option<SocketAddr>) -> bool {
    match (place, host) {
        (Place::Server { .. } | Place::Joined { .. }, _) => true,
        (Place::Embedded { .. }, Some(host)) => host.is_running(),
        (Place::Embedded { data_dir }, None) => {
            address.is_some_and(|address| host::is_running_at(data_dir, address))
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
