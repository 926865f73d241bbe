//! Confirmable messages of ours, from the queue to the acknowledgement (RFC 7252 §4.2, §4.7).

use std::time::Instant;

use rand::Rng;

use super::Endpoint;
use crate::{
    Event, Message, MessageId, ObservationId, RequestError, Type,
    dedup::{Reaction, Slot},
    peers::PeerKey,
    retransmit::{Purpose, Queued, Transmission},
    timers::Timer,
    wire,
};

impl Endpoint {
    /// Sends a confirmable message when its turn comes; false if too many wait already.
    pub(super) fn enqueue(
        &mut self,
        now: Instant,
        peer: PeerKey,
        message: Message,
        purpose: Purpose,
    ) -> bool {
        let Some(state) = self.peers.get_mut(peer) else { return false };
        if state.queue.len() >= self.config.max_queued {
            return false;
        }
        state.queue.push_back(Queued { message, purpose });
        self.pump(now, peer);
        true
    }

    /// Sends what may be sent (NSTART).
    pub(super) fn pump(&mut self, now: Instant, peer: PeerKey) {
        while let Some(state) = self.peers.get_mut(peer) {
            if state.in_flight >= self.config.timing.nstart.max(1) {
                return;
            }
            let Some(queued) = state.queue.pop_front() else { return };
            let is_wanted = match queued.purpose {
                Purpose::Request(id) => {
                    let token = queued.message.token;
                    self.requests.get(id).is_some_and(|outgoing| outgoing.is_current(token))
                }
                Purpose::Notification(id) => self.observations.get(id).is_some(),
                Purpose::Response => true,
            };
            if !is_wanted {
                continue;
            }
            match state.ids.take(now, self.config.timing.message_id_rest) {
                Ok(id) => self.transmit(now, peer, id, queued),
                Err(at) => {
                    state.queue.push_front(queued);
                    if state.resume.is_none() {
                        state.resume = Some(self.timers.set(at, Timer::Resume(peer)));
                    }
                    return;
                }
            }
        }
    }

    fn transmit(&mut self, now: Instant, key: PeerKey, id: MessageId, queued: Queued) {
        let Queued { mut message, purpose } = queued;
        message.id = id;
        if let Purpose::Request(request) = purpose
            && self.protect(now, key, &mut message).is_err()
        {
            return self.fail(now, request, RequestError::Unprotectable);
        }
        let Some(state) = self.peers.get_mut(key) else { return };
        let bytes = wire::encode(&message);
        let timing = &self.config.timing;
        let stretch = self.rng.random_range(1.0..=timing.ack_random_factor.max(1.0));
        let timeout = state.timeout(timing).mul_f64(stretch);
        state.in_flight += 1;
        match purpose {
            Purpose::Request(request) => {
                if let Some(outgoing) = self.requests.get_mut(request) {
                    outgoing.in_flight = Some(id);
                }
            }
            Purpose::Notification(observation) => {
                if let Some(observation) = self.observations.get_mut(observation) {
                    observation.in_flight = Some(id);
                }
            }
            Purpose::Response => {}
        }
        let timer = self.timers.set(now + timeout, Timer::Retransmit(key, id));
        self.transmissions.insert(
            (key, id),
            Transmission {
                purpose,
                bytes: bytes.clone(),
                first_sent: now,
                timeout,
                retransmits: 0,
                timer,
            },
        );
        self.send(key, bytes);
    }

    /// Ends a transmission. If an answer is why, its round trip is learned from.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        peer: PeerKey,
        id: MessageId,
        is_answered: bool,
    ) -> Option<Transmission> {
        let transmission = self.transmissions.remove(&(peer, id))?;
        self.timers.stop(transmission.timer);
        if let Some(state) = self.peers.get_mut(peer) {
            state.in_flight -= 1;
            if is_answered {
                let sample = now.saturating_duration_since(transmission.first_sent);
                let Transmission { retransmits, timeout, .. } = transmission;
                state.learn(&self.config.timing, sample, retransmits, timeout);
            }
        }
        match transmission.purpose {
            Purpose::Request(id) => {
                if let Some(outgoing) = self.requests.get_mut(id) {
                    outgoing.in_flight = None;
                }
            }
            Purpose::Notification(id) => {
                if let Some(observation) = self.observations.get_mut(id) {
                    observation.in_flight = None;
                    observation.busy = false;
                }
            }
            Purpose::Response => {}
        }
        Some(transmission)
    }

    pub(super) fn on_acknowledgement(&mut self, now: Instant, peer: PeerKey, id: MessageId) {
        self.peers.touch(peer);
        let Some(transmission) = self.settle(now, peer, id, true) else {
            self.stats.ignored += 1;
            return;
        };
        match transmission.purpose {
            Purpose::Request(id) => {
                let at = now + self.config.timing.max_transmit_wait();
                if let Some(outgoing) = self.requests.get_mut(id) {
                    outgoing.timer = Some(self.timers.set(at, Timer::AwaitResponse(id)));
                }
            }
            Purpose::Notification(id) => self.send_pending(now, id),
            Purpose::Response => {}
        }
        self.pump(now, peer);
    }

    pub(super) fn on_reset(&mut self, now: Instant, peer: PeerKey, id: MessageId) {
        // Anybody can send these four bytes, and a protected request is not for anybody to end.
        let is_of_request = |sent: &Transmission| matches!(sent.purpose, Purpose::Request(_));
        if self.protection.is_some()
            && self.transmissions.get(&(peer, id)).is_some_and(is_of_request)
        {
            self.stats.ignored += 1;
            return;
        }
        let Some(transmission) = self.settle(now, peer, id, true) else {
            self.stats.ignored += 1;
            return;
        };
        match transmission.purpose {
            Purpose::Request(id) => self.fail(now, id, RequestError::Reset),
            Purpose::Notification(id) => self.end_observation(id),
            Purpose::Response => {}
        }
        self.pump(now, peer);
    }

    pub(super) fn on_retransmit(&mut self, now: Instant, peer: PeerKey, id: MessageId) {
        let Some(transmission) = self.transmissions.get_mut(&(peer, id)) else { return };
        let Some(timeout) = transmission.on_timeout(now, &self.config.timing) else {
            return self.give_up(now, peer, id);
        };
        let purpose = transmission.purpose;
        transmission.timer = self.timers.set(now + timeout, Timer::Retransmit(peer, id));
        self.stats.retransmitted += 1;
        if let Purpose::Notification(observation) = purpose
            && self.supersede(now, peer, id, observation)
        {
            return;
        }
        if let Some(transmission) = self.transmissions.get(&(peer, id)) {
            let bytes = transmission.bytes.clone();
            self.send(peer, bytes);
        }
    }

    fn give_up(&mut self, now: Instant, peer: PeerKey, id: MessageId) {
        let Some(transmission) = self.settle(now, peer, id, false) else { return };
        match transmission.purpose {
            Purpose::Request(id) => self.fail(now, id, RequestError::TimedOut),
            Purpose::Notification(id) => self.end_observation(id),
            Purpose::Response => {}
        }
        self.pump(now, peer);
    }

    /// Puts a newer notification in the place of one that is being sent again (RFC 7641 §4.5.2):
    /// under a message id of its own, but with the attempts and the wait of the old one.
    fn supersede(
        &mut self,
        now: Instant,
        peer: PeerKey,
        old: MessageId,
        observation: ObservationId,
    ) -> bool {
        let is_newer = self.observations.get(observation).is_some_and(|o| o.pending.is_some());
        let Some(state) = self.peers.get_mut(peer).filter(|_| is_newer) else { return false };
        // Before the newest state is taken out: without an id it waits for its turn.
        let Ok(id) = state.ids.take(now, self.config.timing.message_id_rest) else { return false };
        let Some(message) = self.next_notification(now, observation) else { return false };
        let bytes = wire::encode(&Message { id, ..message });
        let Some(mut transmission) = self.transmissions.remove(&(peer, old)) else { return false };
        self.timers.stop(transmission.timer);
        let at = now + transmission.timeout;
        transmission.timer = self.timers.set(at, Timer::Retransmit(peer, id));
        transmission.bytes = bytes.clone();
        self.transmissions.insert((peer, id), transmission);
        if let Some(observation) = self.observations.get_mut(observation) {
            observation.in_flight = Some(id);
        }
        self.send(peer, bytes);
        true
    }

    /// The peer has waited long enough for its response: it is told to be patient.
    pub(super) fn on_acknowledge(&mut self, peer: PeerKey, id: MessageId) {
        if matches!(self.recent.reaction(peer, id, Slot::UNKNOWN), Some(Reaction::Pending) | None) {
            self.send_empty(peer, Type::Acknowledgement, id);
            self.recent.react(peer, id, Slot::UNKNOWN, Reaction::Acknowledged);
        }
    }

    /// Ends the observation of somebody else.
    pub(super) fn end_observation(&mut self, id: ObservationId) {
        if self.forget_observation(id).is_some() {
            self.events.push_back(Event::ObservationEnded { observation: id });
        }
    }
}
