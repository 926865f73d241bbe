//! Who waits for what, found again by a ticket.

/// Things that wait, each under the ticket that it was given. Places are used again, so that nothing is allocated for
/// who comes while no more wait than did before.
#[derive(Debug)]
pub(super) struct Tickets<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    /// How often it was given away: an old ticket is none for who stands there now.
    times: u32,
    waits: Option<T>,
}

impl<T> Tickets<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// The ticket for one more.
    pub(super) fn add(&mut self, waits: T) -> u64 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { times: 0, waits: None });
            u32::try_from(self.places.len() - 1).expect("the queues are bounded")
        });
        let place = &mut self.places[number as usize];
        place.times = place.times.wrapping_add(1);
        place.waits = Some(waits);
        u64::from(place.times) << 32 | u64::from(number)
    }

    /// What waits under this ticket, which is used up then.
    pub(super) fn take(&mut self, ticket: u64) -> Option<T> {
        let number = ticket as u32;
        let place = self.places.get_mut(number as usize)?;
        let waits = place.waits.take_if(|_| place.times == (ticket >> 32) as u32)?;
        self.free.push(number);
        Some(waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_one_and_once() {
        let mut tickets = Tickets::new();
        let [first, second] = ["first", "second"].map(|waits| tickets.add(waits));
        assert_eq!(tickets.take(first), Some("first"));
        assert_eq!(tickets.take(first), None);
        let third = tickets.add("third");
        assert_eq!(tickets.places.len(), 2);
        assert_eq!(tickets.take(first), None, "the place is somebody else's");
        assert_eq!(tickets.take(third), Some("third"));
        assert_eq!(tickets.take(second), Some("second"));
        assert_eq!(tickets.take(7), None);
    }
}
