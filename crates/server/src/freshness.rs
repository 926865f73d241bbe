//! Whether a request was sent just now (RFC 9175 §2.3): asked with Echo before anything administrative is done.
//!
//! OSCORE tells a message that was seen from one that was not, but not one that somebody held back for a day.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use suibi_coap::{Code, Request, Response, Subject};

/// An answer to a challenge counts for so long.
const FRESH: Duration = Duration::from_secs(60);
/// Challenges of one credential that are open at once; several of its processes may ask.
const MAX_OPEN: usize = 4;
/// Credentials with open challenges: far more than a server has admins.
const MAX_SUBJECTS: usize = 1024;

/// Challenges that wait for their echo.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    open: BTreeMap<Subject, VecDeque<Challenge>>,
}

#[derive(Debug)]
struct Challenge {
    value: [u8; 8],
    until: Instant,
}

impl Freshness {
    /// Whether the request brings an echo that we asked this credential for, which it may do once.
    pub(crate) fn accept(&mut self, now: Instant, subject: Subject, request: &Request) -> bool {
        let Some(echo) = request.echo_value() else { return false };
        let Some(open) = self.open.get_mut(&subject) else { return false };
        open.retain(|challenge| challenge.until > now);
        let found = open.iter().position(|challenge| challenge.value == **echo);
        if let Some(at) = found {
            open.remove(at);
        }
        if open.is_empty() {
            self.open.remove(&subject);
        }
        found.is_some()
    }

    /// 4.01 with a new challenge of these random bytes.
    pub(crate) fn challenge(&mut self, now: Instant, subject: Subject, value: [u8; 8]) -> Response {
        if self.open.len() >= MAX_SUBJECTS {
            self.open.retain(|_, open| {
                open.retain(|challenge| challenge.until > now);
                !open.is_empty()
            });
            if self.open.len() >= MAX_SUBJECTS {
                self.open.pop_first();
            }
        }
        let open = self.open.entry(subject).or_default();
        if open.len() >= MAX_OPEN {
            open.pop_front();
        }
        open.push_back(Challenge { value, until: now + FRESH });
        Response::new(Code::UNAUTHORIZED).echo(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: Subject = Subject(1);

    fn request(echo: [u8; 8]) -> Request {
        Request::new(Code::POST).echo(&echo)
    }

    #[test]
    fn an_echo_counts_once_for_a_minute_and_for_one_credential() {
        let mut now = Instant::now();
        let mut freshness = Freshness::default();
        let challenge = freshness.challenge(now, ADMIN, [1; 8]);
        assert_eq!(challenge.code, Code::UNAUTHORIZED);
        assert_eq!(challenge.echo_value().unwrap()[..], [1; 8]);
        assert!(!freshness.accept(now, ADMIN, &Request::new(Code::POST)));
        assert!(!freshness.accept(now, ADMIN, &request([2; 8])));
        assert!(!freshness.accept(now, Subject(2), &request([1; 8])));
        assert!(freshness.accept(now, ADMIN, &request([1; 8])));
        assert!(!freshness.accept(now, ADMIN, &request([1; 8])));
        let _ = freshness.challenge(now, ADMIN, [3; 8]);
        now += FRESH;
        assert!(!freshness.accept(now, ADMIN, &request([3; 8])));
        assert!(freshness.open.is_empty());
    }

    #[test]
    fn several_processes_of_one_credential_are_challenged_at_once_in_bounded_memory() {
        let now = Instant::now();
        let mut freshness = Freshness::default();
        for number in 0..10 {
            let _ = freshness.challenge(now, ADMIN, [number; 8]);
        }
        assert!(!freshness.accept(now, ADMIN, &request([5; 8])));
        assert!(freshness.accept(now, ADMIN, &request([6; 8])));
        assert!(freshness.accept(now, ADMIN, &request([9; 8])));
        for number in 0..3000 {
            let _ = freshness.challenge(now, Subject(number), [0; 8]);
        }
        assert_eq!(freshness.open.len(), MAX_SUBJECTS);
    }
}
