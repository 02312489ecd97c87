//! How long each stage of the media path takes on this machine, and how many inputs a second the core takes.
//!
//! `cargo bench --bench stages`. Times differ from machine to machine and from minute to minute: compare two rows of one run, never two
//! runs. What must not get dearer is counted in instructions instead, by `benches/guard`.

mod scene;

use std::hint::black_box;
use std::time::Instant;

/// What the core must take: inputs a second on one core.
const TARGET: f64 = 3_000_000.0;
/// Steps of one measurement of the core's rate, and measurements, of which the best counts: the others were disturbed.
const STEPS: u32 = 200_000;
const ROUNDS: usize = 7;

/// One walk along the stage.
#[divan::bench(args = scene::STAGES.iter().map(|stage| stage.name))]
fn stage(bencher: divan::Bencher<'_, '_>, name: &str) {
    let stage = scene::named(name).expect("a name out of the list");
    let mut step = (stage.new)();
    (0..60).for_each(|_| step());
    bencher.bench_local(move || step());
}

/// Inputs a second.
fn rate(mut step: scene::Step, inputs: u32) -> f64 {
    let seconds = |_| {
        let from = Instant::now();
        (0..STEPS).for_each(|_| step());
        from.elapsed().as_secs_f64()
    };
    let best = (0..ROUNDS).map(seconds).fold(f64::INFINITY, f64::min);
    f64::from(black_box(inputs * STEPS)) / best
}

fn main() {
    divan::main();
    // Asked to list or to test, there is nothing to be told.
    if std::env::args().any(|argument| argument == "--bench") {
        let rates = [
            ("caller's frames", rate(scene::talk::frame(), 1)),
            ("model's deltas and marks", rate(scene::talk::delta(), 2)),
        ];
        println!("\nthe core, alone on one thread (target: {TARGET} inputs a second)");
        for (what, rate) in rates {
            println!(
                "{what:<26} {rate:>12.0} inputs/s {:>6.1}x the target",
                rate / TARGET
            );
        }
    }
}
