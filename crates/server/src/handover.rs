//! From thread to thread, many things at a time.
//!
//! ```text
//!   one fills a queue ──► give ──► it waits here, all of it ──► take ──► the other one empties it
//!         ▲                                                                        │
//!         └───────────────── an empty one, to be filled again ◄────────────────────┘
//! ```
//!
//! The queues themselves change hands, not what is in them one by one: in the steady state nothing is allocated, moved
//! or woken up for a single thing. How much may wait is bounded by who gives.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Both ends of a way for `T` from one thread to another.
pub(crate) fn handover<T>() -> (Giver<T>, Taker<T>) {
    let between = Arc::new(Between {
        state: Mutex::new(State { things: VecDeque::new(), is_awaited: false, is_over: false }),
        given: Condvar::new(),
    });
    (Giver(Arc::clone(&between)), Taker(between))
}

/// Where things are given.
pub(crate) struct Giver<T>(Arc<Between<T>>);

/// Where they are taken.
pub(crate) struct Taker<T>(Arc<Between<T>>);

struct Between<T> {
    state: Mutex<State<T>>,
    given: Condvar,
}

struct State<T> {
    things: VecDeque<T>,
    /// The taker sleeps: a thread that does not is not woken up, as that is a call of the kernel.
    is_awaited: bool,
    /// One of the two ends is gone.
    is_over: bool,
}

impl<T> Giver<T> {
    /// Gives all of `things` away, in their order. Where nobody takes any more, they stay.
    pub(crate) fn give(&self, things: &mut VecDeque<T>) {
        if things.is_empty() {
            return;
        }
        let mut state = self.0.lock();
        if state.is_over {
            return;
        }
        put(things, &mut state.things);
        let is_awaited = mem::take(&mut state.is_awaited);
        drop(state);
        if is_awaited {
            self.0.given.notify_one();
        }
    }
}

impl<T> Taker<T> {
    /// Adds to `things` all that was given, and waits for some if there would be none then. `false`: there is none, and
    /// never will be.
    pub(crate) fn take(&self, things: &mut VecDeque<T>) -> bool {
        let mut state = self.0.lock();
        while things.is_empty() && state.things.is_empty() {
            if state.is_over {
                return false;
            }
            state.is_awaited = true;
            state = self.0.given.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        put(&mut state.things, things);
        true
    }
}

/// All of `from` behind all of `to`. Where that is nothing, the two change places.
fn put<T>(from: &mut VecDeque<T>, to: &mut VecDeque<T>) {
    if to.is_empty() {
        mem::swap(from, to);
    } else {
        to.append(from);
    }
}

impl<T> Between<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing is half done where this could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.given.notify_one();
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn all_that_is_given_is_taken_in_order_and_then_it_is_over() {
        let (giver, taker) = handover();
        let thread = thread::spawn(move || {
            let (mut things, mut taken) = (VecDeque::new(), Vec::new());
            while taker.take(&mut things) {
                // Some are left for the next time.
                let some = things.len().div_ceil(2);
                taken.extend(things.drain(..some));
            }
            taken
        });
        let mut things = VecDeque::new();
        for start in (0..10_000).step_by(10) {
            things.extend(start..start + 10);
            giver.give(&mut things);
            assert!(things.is_empty());
        }
        drop(giver);
        assert_eq!(thread.join().unwrap(), (0..10_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_nobody_takes_any_more_stays() {
        let (giver, taker) = handover();
        drop(taker);
        let mut things = VecDeque::from([1, 2]);
        giver.give(&mut things);
        assert_eq!(things, [1, 2]);
    }

    #[test]
    fn in_the_steady_state_nothing_is_allocated() {
        let (giver, taker) = handover();
        let (mut here, mut there) = (VecDeque::new(), VecDeque::new());
        let mut turn = || {
            here.extend(0..100);
            giver.give(&mut here);
            assert!(taker.take(&mut there));
            assert!(there.drain(..).eq(0..100));
        };
        // One queue for each end, and one between them.
        (0..3).for_each(|_| turn());
        let allocations = allocation_counter::measure(|| (0..10).for_each(|_| turn()));
        assert_eq!(allocations.count_total, 0);
    }
}
