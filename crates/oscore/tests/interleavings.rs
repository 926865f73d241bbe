//! Lost, doubled, recorded, restarted, evicted, copied, rolled back: in any order.
//!
//! `World` fails the test as soon as a request is carried out twice, or anybody protects two
//! messages under one key and nonce. Beside that, whatever a client takes for an answer is the
//! answer to that very request, and in the end everybody still gets one.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod support;

use std::time::Duration;

use proptest::{prelude::*, strategy::ValueTree};
use suibi_coap::{Binding, Code, Request, Response, Subject, UnprotectedResponse};
use suibi_oscore::ContextLimits;
use support::*;

const DEVICES: [&str; 3] = ["phone", "laptop", "shelf"];

/// So small that everything overflows all the time.
const LIMITS: ContextLimits = ContextLimits { contexts: 5, contexts_each: 2, remembered: 4 };

/// What may happen next; the numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// A process asks; the request is on the wire from then on, and never quite gone.
    Send {
        process: usize,
    },
    /// A server gets a request that was sent at any time.
    Deliver {
        server: usize,
        request: usize,
    },
    /// The newest one, so that something goes on.
    DeliverNewest {
        server: usize,
    },
    /// A server answers what it carried out, perhaps not for the first time.
    Answer {
        carried_out: usize,
        observe: Option<u32>,
    },
    AnswerNewest,
    /// A client gets an answer of any time to any request of its own that still waits.
    Receive {
        request: usize,
        answer: usize,
    },
    ReceiveNewest,
    /// A device starts another process with an epoch that it knew at some time, or none.
    Start {
        device: usize,
        epoch: usize,
    },
    /// A server starts anew in the place of one.
    Restart {
        server: usize,
    },
    /// A device is removed and taken in again.
    Remove {
        server: usize,
        device: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let any = || 0..1_000_usize;
    prop_oneof![
        6 => any().prop_map(|process| Step::Send { process }),
        4 => (any(), any()).prop_map(|(server, request)| Step::Deliver { server, request }),
        6 => any().prop_map(|server| Step::DeliverNewest { server }),
        2 => (any(), proptest::option::of(0..9_u32))
            .prop_map(|(carried_out, observe)| Step::Answer { carried_out, observe }),
        5 => Just(Step::AnswerNewest),
        4 => (any(), any()).prop_map(|(request, answer)| Step::Receive { request, answer }),
        6 => Just(Step::ReceiveNewest),
        3 => (any(), any()).prop_map(|(device, epoch)| Step::Start { device, epoch }),
        1 => any().prop_map(|server| Step::Restart { server }),
        1 => (any(), any()).prop_map(|(server, device)| Step::Remove { server, device }),
    ]
}

#[derive(Default)]
struct Story {
    world: World,
    /// Two at once, as when a backup is restored while the original goes on.
    servers: Vec<Server>,
    processes: Vec<(usize, Client)>,
    /// The epochs that each device has known.
    epochs: [Vec<Option<[u8; 8]>>; DEVICES.len()],
    requests: Vec<(usize, Sent)>,
    carried_out: Vec<CarriedOut>,
    /// With the request that each was made for.
    answers: Vec<(usize, Response)>,
    answered: usize,
    /// Requests that are sent once more.
    again: usize,
}

struct CarriedOut {
    server: usize,
    request: usize,
    binding: Binding,
}

impl Story {
    fn new() -> Self {
        let mut story = Self::default();
        story.servers = (0..2).map(|_| story.world.server_with(&DEVICES, LIMITS)).collect();
        for device in 0..DEVICES.len() {
            story.epochs[device] =
                vec![None, story.servers[0].contexts.epoch(Subject(device as u64))];
            story.start(device, 1);
        }
        story
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Send { process } => self.send(process % self.processes.len()),
            Step::Deliver { server, request } if !self.requests.is_empty() => {
                self.deliver(server % 2, request % self.requests.len());
            }
            Step::DeliverNewest { server } if !self.requests.is_empty() => {
                self.deliver(usize::from(server % 8 == 0), self.requests.len() - 1);
            }
            Step::Answer { carried_out, observe } if !self.carried_out.is_empty() => {
                self.answer(carried_out % self.carried_out.len(), observe);
            }
            Step::AnswerNewest if !self.carried_out.is_empty() => {
                self.answer(self.carried_out.len() - 1, None);
            }
            Step::Receive { request, answer }
                if !self.requests.is_empty() && !self.answers.is_empty() =>
            {
                self.receive(request % self.requests.len(), answer % self.answers.len());
            }
            Step::ReceiveNewest => {
                if let Some((request, _)) = self.answers.last() {
                    self.receive(*request, self.answers.len() - 1);
                }
            }
            Step::Start { device, epoch } => self.start(device % DEVICES.len(), epoch),
            Step::Restart { server } => {
                self.servers[server % 2] = self.world.server_with(&DEVICES, LIMITS);
                self.carried_out.retain(|carried_out| carried_out.server != server % 2);
            }
            Step::Remove { server, device } => {
                let device = device % DEVICES.len();
                let contexts = &self.servers[server % 2].contexts;
                contexts.remove(Subject(device as u64));
                let name = DEVICES[device];
                contexts.add_paired(Subject(device as u64), id(name), secret(name));
            }
            _ => {}
        }
    }

    fn start(&mut self, device: usize, epoch: usize) {
        let known = &self.epochs[device];
        let epoch = known[epoch % known.len()];
        let client = self.world.client(DEVICES[device], epoch);
        self.processes.push((device, client));
    }

    fn send(&mut self, process: usize) {
        let text = format!("request {}", self.requests.len());
        let client = &mut self.processes[process].1;
        let sent = self.world.send(client, note(&text));
        self.requests.push((process, sent));
    }

    fn deliver(&mut self, server: usize, request: usize) {
        let outer: &Request = &self.requests[request].1.outer;
        match self.world.deliver(&mut self.servers[server], outer) {
            Did::CarriedOut(binding) => {
                let body = self.world.bodies.last().unwrap();
                assert_eq!(*body, self.requests[request].1.plain.payload);
                self.carried_out.push(CarriedOut { server, request, binding });
            }
            Did::Answered(response) => self.answers.push((request, response)),
            Did::Nothing => {}
        }
    }

    fn answer(&mut self, carried_out: usize, observe: Option<u32>) {
        let CarriedOut { server, request, mut binding } = self.carried_out[carried_out];
        let sent = &self.requests[request].1;
        let response = Response::new(Code::CHANGED).payload(sent.plain.payload.clone());
        let server = &mut self.servers[server];
        let answer = self.world.answer(server, &sent.outer, &mut binding, response, observe);
        self.answers.extend(answer.map(|answer| (request, answer)));
    }

    fn receive(&mut self, request: usize, answer: usize) {
        let (process, sent) = &mut self.requests[request];
        let (device, client) = &mut self.processes[*process];
        let (made_for, answer) = &self.answers[answer];
        match client.receive(sent, answer) {
            UnprotectedResponse::Response(response) => {
                assert_eq!(*made_for, request);
                assert_eq!(response.payload, sent.plain.payload);
                self.answered += 1;
            }
            UnprotectedResponse::Repeat => {
                assert_eq!(*made_for, request);
                self.epochs[*device].push(client.context.epoch());
                let (process, plain) = (*process, sent.plain.clone());
                let again = self.world.send(&mut self.processes[process].1, plain);
                self.requests.push((process, again));
                self.again += 1;
            }
            UnprotectedResponse::Ignore => {}
        }
    }

    /// After all of it, every process gets through to both servers.
    fn end(&mut self) {
        for server in &mut self.servers {
            server.later(Duration::from_secs(2));
            for (number, (_, client)) in self.processes.iter_mut().enumerate() {
                let round_trips = self.world.ask(client, server, &format!("end {number}"));
                assert!(round_trips <= 2, "{round_trips}");
            }
            let stats = server.contexts.stats();
            assert!(stats.contexts <= LIMITS.contexts as u64);
            assert_eq!(stats.limited, 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_twice_in_any_order(steps in proptest::collection::vec(step(), 1..250)) {
        let mut story = Story::new();
        for step in &steps {
            story.take(step);
        }
        story.end();
    }
}

/// Keeps the test above from being about nothing.
#[test]
fn such_stories_have_all_of_it_in_them() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let steps = proptest::collection::vec(step(), 5_000);
    let steps = steps.new_tree(&mut runner).unwrap().current();
    let mut story = Story::new();
    for step in &steps {
        story.take(step);
        story.servers.iter_mut().for_each(|server| server.later(Duration::from_millis(5)));
    }
    story.end();
    assert!(story.answered > 100, "{}", story.answered);
    assert!(story.again > 50, "{}", story.again);
    assert!(story.world.bodies.len() > 200, "{}", story.world.bodies.len());
    assert!(story.world.recorder.len() > 1_000, "{}", story.world.recorder.len());
    let stats: Vec<_> = story.servers.iter().map(|server| server.contexts.stats()).collect();
    assert!(stats.iter().any(|stats| stats.evicted > 0 && stats.rotated > 0), "{stats:?}");
    assert!(stats.iter().any(|stats| stats.replayed > 0 && stats.challenged > 0), "{stats:?}");
}
