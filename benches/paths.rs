//! One stage of the media path, walked a fixed number of times: what `benches/guard` counts the instructions of.
//!
//! `paths` lists the stages; `paths NAME STEPS` walks one. Counted twice with different numbers of steps, the difference is the steps'
//! alone, without the start of the process and without the preparation.

mod scene;

use std::hint::black_box;
use std::process::ExitCode;

/// What counts are compared with: a loop that no change of ours makes cheaper or dearer, about as long as a stage.
const CALIBRATION: &str = "calibration";

/// Walked before anything is counted by, so that buffers have grown and tables are made.
const WARM_UP: u64 = 60;

/// The 1,000 steps of a congruential generator, one after the other.
fn calibrate() {
    let mut state = black_box(1_u64);
    for _ in 0..1_000 {
        state = black_box(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        );
    }
    black_box(state);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, steps] = &arguments[..] else {
        // `cargo bench` adds arguments of its own.
        println!("{CALIBRATION}\ta loop to compare with");
        for stage in scene::STAGES {
            println!("{}\t{}", stage.name, stage.about);
        }
        return ExitCode::SUCCESS;
    };
    let step = match scene::named(name) {
        Some(stage) => Some((stage.new)()),
        None if name == CALIBRATION => Some(Box::new(calibrate) as scene::Step),
        None => None,
    };
    let (Some(mut step), Ok(steps)) = (step, steps.parse::<u64>()) else {
        eprintln!("usage: paths [NAME STEPS]");
        return ExitCode::from(2);
    };
    for _ in 0..WARM_UP + steps {
        step();
    }
    ExitCode::SUCCESS
}
