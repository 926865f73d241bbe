//! Order without allocation: lists threaded through the slots of a table.

const NONE: u32 = u32::MAX;

/// A slot's neighbours in one list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    previous: u32,
    next: u32,
}

impl Link {
    /// Of a slot that is in no list.
    pub(crate) const LOOSE: Self = Self { previous: NONE, next: NONE };
}

/// A list of slots; a table keeps one `Link` per slot for each list that a slot may be in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    first: u32,
    last: u32,
    len: usize,
}

impl List {
    pub(crate) const EMPTY: Self = Self { first: NONE, last: NONE, len: 0 };

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// Puts a loose slot at the end.
    pub(crate) fn push(&mut self, links: &mut [Link], slot: u32) {
        links[slot as usize] = Link { previous: self.last, next: NONE };
        match self.last {
            NONE => self.first = slot,
            last => links[last as usize].next = slot,
        }
        self.last = slot;
        self.len += 1;
    }

    /// Takes a slot out of the list, which it must be in.
    pub(crate) fn remove(&mut self, links: &mut [Link], slot: u32) {
        let Link { previous, next } = links[slot as usize];
        match previous {
            NONE => self.first = next,
            previous => links[previous as usize].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => links[next as usize].previous = previous,
        }
        links[slot as usize] = Link::LOOSE;
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_leave_from_anywhere() {
        let mut links = [Link::LOOSE; 4];
        let mut list = List::EMPTY;
        (0..4).for_each(|slot| list.push(&mut links, slot));
        list.remove(&mut links, 2);
        list.remove(&mut links, 0);
        assert_eq!((list.first(), list.len()), (Some(1), 2));
        list.push(&mut links, 0);
        for expected in [1, 3, 0] {
            let first = list.first().unwrap();
            assert_eq!(first, expected);
            list.remove(&mut links, first);
        }
        assert_eq!((list.first(), list.len()), (None, 0));
    }
}
