//! Requests of ours and their responses, matched by token (RFC 7252 §5.3).

use std::collections::HashMap;

use bytes::Bytes;
use rand::{Rng, rngs::StdRng};

use crate::{
    Binding, Code, Message, MessageId, Observe, OptionNumber, Request, RequestId, Token, Type,
    blockwise::{Block, Download, Upload},
    observe::Newest,
    peers::PeerKey,
    timers::TimerKey,
};

/// How often one message is protected anew (see
/// [`UnprotectedResponse::Repeat`](crate::UnprotectedResponse::Repeat)).
pub(crate) const MAX_REPEATS: u32 = 3;

/// A request of ours that is not done with.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) peer: PeerKey,
    pub(crate) request: Request,
    token: Token,
    /// Fetches the rest of a body while `token` stays with the observation.
    fetch: Option<Token>,
    pub(crate) upload: Option<Upload>,
    pub(crate) download: Option<Download>,
    /// The block to ask for next.
    pub(crate) ask: Option<Block>,
    /// The newest notification, once the server has taken us for an observer.
    pub(crate) newest: Option<Newest>,
    /// The first response has been handed out.
    pub(crate) answered: bool,
    /// The message that waits for its acknowledgement.
    pub(crate) in_flight: Option<MessageId>,
    /// Runs while the response is promised.
    pub(crate) timer: Option<TimerKey>,
    /// What the server wanted to be given back (RFC 9175 §2.3).
    pub(crate) echo: Option<Bytes>,
    /// How often the present message was protected anew.
    pub(crate) repeats: u32,
}

impl Outgoing {
    /// The message to send now; its id comes later.
    pub(crate) fn message(&self) -> Message {
        let mut message = Message {
            kind: Type::Confirmable,
            code: self.request.method,
            id: MessageId(0),
            token: self.fetch.unwrap_or(self.token),
            options: self.request.options.clone(),
            payload: Bytes::new(),
        };
        if let Some(echo) = &self.echo {
            message.options.set(OptionNumber::ECHO, echo.clone());
        }
        if let Some(block) = self.ask {
            message.options.remove(OptionNumber::OBSERVE);
            block.put(&mut message.options, OptionNumber::BLOCK2);
            // The body of a FETCH says what is asked for and goes with each block; other bodies
            // have done their work (RFC 7959 §3.3, RFC 8132 §2.1).
            if self.request.method == Code::FETCH && self.upload.is_none() {
                message.payload = self.request.payload.clone();
            } else {
                message.options.remove(OptionNumber::CONTENT_FORMAT);
            }
        } else if let Some(upload) = &self.upload {
            upload.put(&self.request, &mut message);
        } else {
            message.payload = self.request.payload.clone();
        }
        message
    }

    /// The message that ends the observation, on streams (RFC 8323 §7.4).
    pub(crate) fn deregistration(&self) -> Message {
        let Request { method, options, payload } = self.request.clone().observe(false);
        let (kind, id, token) = (Type::NonConfirmable, MessageId(0), self.token);
        Message { kind, code: method, id, token, options, payload }
    }

    /// Whether this response is to a fetch of one more block.
    pub(crate) fn is_fetch(&self, token: Token) -> bool {
        self.fetch == Some(token)
    }

    /// Whether this response is to the message sent last.
    pub(crate) fn is_current(&self, token: Token) -> bool {
        self.fetch.unwrap_or(self.token) == token
    }

    /// Whether this response, if it asks for that, makes us send the message once more: it is to
    /// the message sent last, and no notification.
    pub(crate) fn is_repeated_for(&self, token: Token) -> bool {
        self.is_current(token) && (self.newest.is_none() || self.is_fetch(token))
    }

    /// Whether we asked to be told of changes.
    pub(crate) fn wants_observing(&self) -> bool {
        self.request.observing() == Some(Observe::Register)
    }
}

/// Who waits for responses with a token.
#[derive(Debug)]
struct Waiting {
    id: RequestId,
    /// Once it has gone out protected.
    binding: Option<Binding>,
}

/// All requests of ours that are not done with, by id and by token.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    by_id: HashMap<RequestId, Outgoing>,
    by_token: HashMap<(PeerKey, Token), Waiting>,
    last: u64,
}

impl Requests {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All requests, the oldest first.
    pub(crate) fn ids(&self) -> Vec<RequestId> {
        let mut ids: Vec<_> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Whether none of them waits for its first response.
    pub(crate) fn are_all_answered(&self) -> bool {
        self.by_id.values().all(|outgoing| outgoing.answered)
    }

    /// A number for a request.
    pub(crate) fn new_id(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    /// Adds a request, whole or in blocks.
    pub(crate) fn add(
        &mut self,
        rng: &mut StdRng,
        id: RequestId,
        peer: PeerKey,
        mut request: Request,
        upload: Option<Upload>,
    ) {
        let token = self.new_token(rng, peer, id);
        if upload.is_some() && !request.options.has(OptionNumber::REQUEST_TAG) {
            // Blocks of several bodies may be under way at once, or be held back by somebody until
            // the next body comes; this tells whose they are (RFC 9175 §3.5.1).
            let tag = Bytes::copy_from_slice(token.as_bytes());
            request.options.set(OptionNumber::REQUEST_TAG, tag);
        }
        self.by_id.insert(
            id,
            Outgoing {
                peer,
                request,
                token,
                fetch: None,
                upload,
                download: None,
                ask: None,
                newest: None,
                answered: false,
                in_flight: None,
                timer: None,
                echo: None,
                repeats: 0,
            },
        );
    }

    pub(crate) fn get(&self, id: RequestId) -> Option<&Outgoing> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: RequestId) -> Option<&mut Outgoing> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn find(&self, peer: PeerKey, token: Token) -> Option<RequestId> {
        self.by_token.get(&(peer, token)).map(|waiting| waiting.id)
    }

    /// What ties responses with this token to the protected request.
    pub(crate) fn binding(&mut self, peer: PeerKey, token: Token) -> Option<&mut Binding> {
        self.by_token.get_mut(&(peer, token))?.binding.as_mut()
    }

    /// A request has gone out protected.
    pub(crate) fn bind(&mut self, peer: PeerKey, token: Token, binding: Binding) {
        if let Some(waiting) = self.by_token.get_mut(&(peer, token)) {
            waiting.binding = Some(binding);
        }
    }

    /// A new token for the next block, so that what still comes for the old one finds nobody.
    /// Where we observe, the first token goes on waiting for notifications.
    pub(crate) fn renew_token(&mut self, rng: &mut StdRng, id: RequestId) {
        let Some(peer) = self.by_id.get(&id).map(|outgoing| outgoing.peer) else { return };
        self.drop_fetch(id);
        let token = self.new_token(rng, peer, id);
        let Some(outgoing) = self.by_id.get_mut(&id) else { return };
        if outgoing.newest.is_some() {
            outgoing.fetch = Some(token);
        } else {
            let old = std::mem::replace(&mut outgoing.token, token);
            self.by_token.remove(&(peer, old));
        }
    }

    /// No more blocks are fetched beside an observation.
    pub(crate) fn drop_fetch(&mut self, id: RequestId) {
        let Some(outgoing) = self.by_id.get_mut(&id) else { return };
        if let Some(token) = outgoing.fetch.take() {
            self.by_token.remove(&(outgoing.peer, token));
        }
    }

    pub(crate) fn remove(&mut self, id: RequestId) -> Option<Outgoing> {
        self.drop_fetch(id);
        let outgoing = self.by_id.remove(&id)?;
        self.by_token.remove(&(outgoing.peer, outgoing.token));
        Some(outgoing)
    }

    /// Eight random bytes: nobody off the path can guess them and answer in the server's place.
    fn new_token(&mut self, rng: &mut StdRng, peer: PeerKey, id: RequestId) -> Token {
        loop {
            let bytes: [u8; Token::MAX_LEN] = rng.random();
            let token = Token::new(&bytes).expect("eight bytes fit a token");
            if let std::collections::hash_map::Entry::Vacant(entry) =
                self.by_token.entry((peer, token))
            {
                entry.insert(Waiting { id, binding: None });
                return token;
            }
        }
    }
}
