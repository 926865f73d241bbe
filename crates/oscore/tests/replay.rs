//! The replay window against a plain set of all that was seen (RFC 8613 §7.4).

use std::collections::BTreeSet;

use proptest::prelude::*;
use suibi_oscore::ReplayWindow;

/// Remembers everything, and forgets what is 1,024 or more below the newest.
#[derive(Default)]
struct Everything(BTreeSet<u64>);

impl Everything {
    fn check(&self, number: u64) -> bool {
        let newest = self.0.last().copied();
        !self.0.contains(&number)
            && newest.is_none_or(|newest| number.saturating_add(ReplayWindow::LEN) > newest)
    }
}

/// Numbers that come mostly in order, sometimes late, sometimes far ahead.
fn numbers() -> impl Strategy<Value = Vec<u64>> {
    let step = prop_oneof![
        8 => -3..=4_i64,
        2 => -1100..=1100_i64,
        1 => prop::sample::select(vec![-1025, -1024, -1023, 63, 64, 1023, 1024, 1025, 5000]),
    ];
    prop::collection::vec(step, 1..600).prop_map(|steps| {
        let mut at = 0_i64;
        let walk = steps.into_iter().map(|step| {
            at = (at + step).max(0);
            at as u64
        });
        walk.collect()
    })
}

proptest! {
    #[test]
    fn the_window_says_what_a_plain_set_says(numbers in numbers()) {
        let mut window = ReplayWindow::new();
        let mut everything = Everything::default();
        for number in numbers {
            let is_new = everything.check(number);
            prop_assert_eq!(window.check(number), is_new, "{}", number);
            if is_new {
                window.accept(number);
                everything.0.insert(number);
            }
            // Its neighbours are as they were.
            for near in [number.saturating_sub(1024), number.saturating_sub(1), number, number + 1] {
                prop_assert_eq!(window.check(near), everything.check(near), "{}", near);
            }
        }
    }

    #[test]
    fn no_number_is_accepted_twice(numbers in prop::collection::vec(0..4000_u64, 1..2000)) {
        let mut window = ReplayWindow::new();
        let mut accepted = BTreeSet::new();
        for number in numbers {
            if window.check(number) {
                window.accept(number);
                prop_assert!(accepted.insert(number), "{} came through twice", number);
            }
        }
    }
}

#[test]
fn everything_up_to_a_number_counts_as_seen() {
    let mut window = ReplayWindow::after(5000);
    assert!((0..=5000).all(|number| !window.check(number)));
    assert!(window.check(5001));
    window.accept(5003);
    assert!(!window.check(5000) && window.check(5001) && window.check(5002));
    assert!(!window.check(5003));
}

#[test]
fn the_window_is_1024_wide_and_no_wider() {
    let mut window = ReplayWindow::new();
    window.accept(2000);
    assert!(window.check(2000 - 1023));
    assert!(!window.check(2000 - 1024));
    // Too old to be noted, and it must not be noted in the place of a newer one.
    window.accept(1990 - 1024);
    assert!(window.check(1990));
}

#[test]
fn the_end_of_all_numbers_does_no_harm() {
    let mut window = ReplayWindow::new();
    window.accept(u64::MAX - 1);
    assert!(!window.check(u64::MAX - 1) && window.check(u64::MAX - 2) && !window.check(0));
    assert!(ReplayWindow::after(u64::MAX - 1).check(u64::MAX));
}
