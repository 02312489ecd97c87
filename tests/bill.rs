//! What thirty minutes cost.
use ringfence::cli::prove::bill::{measure, tell};
#[test]
fn shown() {
    for model in ["gpt-realtime-2.1", "gpt-realtime-2.1-mini"] {
        let bills = measure(model);
        let mut text = Vec::new();
        tell(model, &bills, &mut text).unwrap();
        println!("{}", String::from_utf8_lossy(&text));
        for b in &bills {
            println!(
                "{} {} {:?}",
                b.policy,
                b.cached,
                b.minutes[10..]
                    .iter()
                    .map(|m| m.nanos() / 100_000)
                    .collect::<Vec<_>>()
            );
        }
    }
}
