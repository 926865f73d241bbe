//! The contexts that are alive, and which of them was used least lately.

use std::collections::BTreeMap;

use crate::{Context, KeyId, ReplayWindow};

/// One context of a paired credential, alive.
pub(super) struct Live {
    pub(super) context: Context,
    /// Request numbers whose nonce has made an answer already.
    ///
    /// A window of its own, apart from the one for replays, so that the rule "one answer per
    /// request nonce" hangs on nothing that is handed out and may be copied.
    spent: ReplayWindow,
    /// Whose it is.
    pub(super) kid: KeyId,
    /// The ID Context by which requests name it.
    pub(super) kid_context: [u8; 16],
    /// When it was used last, in uses of the table.
    used: u64,
}

impl Live {
    pub(super) fn new(context: Context, kid: KeyId, kid_context: [u8; 16]) -> Self {
        Self { context, spent: ReplayWindow::new(), kid, kid_context, used: 0 }
    }

    /// Takes the nonce of a request that passed the window: true once for each.
    pub(super) fn spend(&mut self, request: u64) -> bool {
        spend(&mut self.spent, request)
    }
}

/// True once for each number; false for those that are too old to tell.
pub(super) fn spend(spent: &mut ReplayWindow, request: u64) -> bool {
    let is_new = spent.check(request);
    if is_new {
        spent.accept(request);
    }
    is_new
}

/// Live contexts under numbers that are never given out twice.
#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots by their last use.
    order: BTreeMap<u64, u32>,
    uses: u64,
}

#[derive(Default)]
struct Slot {
    /// How many contexts have lived here: a number with another generation is dead.
    generation: u32,
    live: Option<Box<Live>>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The context of this number, unless it is dead.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Live> {
        let (generation, slot) = parts(number);
        let slot = self.slots.get_mut(slot as usize)?;
        slot.live.as_deref_mut().filter(|_| slot.generation == generation)
    }

    /// When this context was used last; the least is the oldest.
    pub(super) fn last_use(&self, number: u64) -> Option<u64> {
        let (generation, slot) = parts(number);
        let slot = self.slots.get(slot as usize)?;
        slot.live.as_ref().filter(|_| slot.generation == generation).map(|live| live.used)
    }

    /// The context that was used least lately.
    pub(super) fn oldest(&self) -> Option<u64> {
        let (_, &slot) = self.order.first_key_value()?;
        Some(number(self.slots[slot as usize].generation, slot))
    }

    /// Takes a context in, and says by which number it is found.
    pub(super) fn insert(&mut self, live: Live) -> u64 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("far fewer contexts than that")
        });
        self.uses += 1;
        self.order.insert(self.uses, slot);
        let place = &mut self.slots[slot as usize];
        place.live = Some(Box::new(Live { used: self.uses, ..live }));
        number(place.generation, slot)
    }

    /// Notes that it was used just now.
    pub(super) fn touch(&mut self, number: u64) {
        let next = self.uses + 1;
        let Some(live) = self.get_mut(number) else { return };
        if live.used + 1 == next {
            return;
        }
        let before = std::mem::replace(&mut live.used, next);
        self.uses = next;
        self.order.remove(&before);
        self.order.insert(next, parts(number).1);
    }

    /// Ends a context: whatever still names it finds nothing.
    pub(super) fn remove(&mut self, number: u64) -> Option<Live> {
        self.get_mut(number)?;
        let (_, slot) = parts(number);
        let place = &mut self.slots[slot as usize];
        let live = place.live.take()?;
        self.order.remove(&live.used);
        // A slot whose generations are used up is left alone for good.
        if let Some(generation) = place.generation.checked_add(1) {
            place.generation = generation;
            self.free.push(slot);
        }
        Some(*live)
    }
}

/// Numbers of the table have their top bit clear, so that others can be told from them.
fn number(generation: u32, slot: u32) -> u64 {
    u64::from(slot) << 32 | u64::from(generation)
}

fn parts(number: u64) -> (u32, u32) {
    (number as u32, (number >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parameters, Secret};

    fn live(name: u8) -> Live {
        let id = |byte| KeyId::from_slice(&[byte]).unwrap();
        let context = Context::derive(&Parameters {
            secret: &Secret::from_bytes(&[1; 16]).unwrap(),
            salt: b"",
            id_context: None,
            sender: id(1),
            recipient: id(2),
        });
        Live::new(context, id(name), [name; 16])
    }

    #[test]
    fn the_number_of_a_dead_context_finds_nothing_even_in_a_used_slot() {
        let mut table = Table::default();
        let first = table.insert(live(1));
        assert_eq!(table.remove(first).map(|live| live.kid_context), Some([1; 16]));
        let second = table.insert(live(2));
        assert_ne!(first, second);
        assert!(table.get_mut(first).is_none() && table.remove(first).is_none());
        assert_eq!(table.get_mut(second).unwrap().kid_context, [2; 16]);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn the_oldest_is_the_one_that_was_touched_least_lately() {
        let mut table = Table::default();
        let [a, b, c] = [1, 2, 3].map(|name| table.insert(live(name)));
        table.touch(a);
        table.touch(a);
        assert_eq!(table.oldest(), Some(b));
        table.touch(b);
        assert_eq!(table.oldest(), Some(c));
        table.remove(c);
        assert_eq!(table.oldest(), Some(a));
        assert!(table.last_use(a) < table.last_use(b));
        assert_eq!((table.last_use(c), table.len()), (None, 2));
    }

    #[test]
    fn a_request_nonce_is_spent_once() {
        let mut live = live(1);
        assert!(live.spend(5) && !live.spend(5));
        assert!(live.spend(4));
        assert!(live.spend(5 + ReplayWindow::LEN) && !live.spend(3), "too old to tell");
    }
}
