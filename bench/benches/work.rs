//! How long the hot functions take, with criterion:
//!
//! ```sh
//! cargo bench -p suibi-bench --features criterion --bench work              # all of them
//! cargo bench -p suibi-bench --features criterion --bench work -- tokens    # those with this in their name
//! ```
//!
//! These are figures of this machine in this hour, to compare two ways of doing one thing. What a change costs
//! for good is seen by counting instructions (`tests/counts.rs`, the same functions).

#[path = "../work/mod.rs"]
mod work;

use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use work::Work;

/// Notes in stores that are asked something.
const NOTES: u64 = 64 * 160;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut group = criterion.benchmark_group("work");
    for Work { name, per_call, prepare } in work::all(NOTES) {
        group.throughput(Throughput::Elements(per_call));
        group.bench_function(name, |bencher| {
            let mut next = prepare();
            bencher.iter_batched(&mut next, |call| call(), BatchSize::SmallInput);
        });
    }
    group.finish();
    criterion.final_summary();
}
