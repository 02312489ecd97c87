//! Phones that are called, and callers who are handed over.

use super::*;

const HAND_OVER: &str = r#"<Response><Dial timeLimit="60" answerOnBridge="true" action="/twilio/ended"><Number>+15005550009</Number></Dial><Hangup/></Response>"#;

/// A caller who is handed over, after a second, to somebody who does this: what the server is told then.
fn handed_over(leg: Leg) -> (Bench, Vec<String>) {
    let mut bench = ring(Setup { leg, ..setup() }, &[CONNECT, HANGUP]);
    bench.until(1_000);
    bench
        .phone
        .order(bench.now_ms, Order::Document(HAND_OVER.to_owned()));
    bench.flush();
    bench.until(120_000);
    let told = bench.posts().into_iter().flat_map(|(_, form)| form);
    let told = told.filter(|(name, _)| matches!(&**name, "DialCallStatus" | "DialCallDuration"));
    let told = told
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (bench, told)
}

#[test]
fn a_caller_is_handed_over_and_the_server_is_asked_what_comes_next() {
    let (bench, told) = handed_over(Leg {
        ring_ms: 2_000,
        talk_ms: 5_500,
        ..Leg::default()
    });
    assert_eq!(told, ["DialCallStatus=completed", "DialCallDuration=6"]);
    assert_eq!(
        bench.ending(),
        Some((8_500, Ending::HungUp)),
        "{}",
        bench.story()
    );
    let frames = bench.frames("stop");
    assert_eq!(
        (frames.len(), frames[0].0),
        (1, 1_000),
        "the stream is left"
    );
}

#[test]
fn a_talk_ends_at_its_limit_and_a_line_that_nobody_takes_is_told() {
    let long = Leg {
        talk_ms: 600_000,
        ..Leg::default()
    };
    let (_, told) = handed_over(long);
    assert_eq!(told, ["DialCallStatus=completed", "DialCallDuration=60"]);
    for (pickup, word) in [
        (Pickup::Busy, "busy"),
        (Pickup::Never, "no-answer"),
        (Pickup::Fails, "failed"),
    ] {
        let (_, told) = handed_over(Leg {
            pickup,
            ..Leg::default()
        });
        let word = format!("DialCallStatus={word}");
        assert_eq!(told, [&*word, "DialCallDuration=0"]);
    }
}

/// Somebody whom the server calls.
fn callee(pickup: Pickup) -> Setup {
    Setup {
        status_callback: Some("https://bot.example.com/twilio/status".to_owned()),
        callee: Some(Callee {
            pickup,
            ring_ms: 3_000,
            events: ["initiated", "ringing", "answered"]
                .map(str::to_owned)
                .into(),
            ear: Some(CarrierEar {
                word: "machine_start".to_owned(),
                after_ms: 400,
                url: "https://bot.example.com/twilio/status".to_owned(),
            }),
        }),
        ..setup()
    }
}

/// What the server is told of the call, each with its time.
fn told(bench: &Bench) -> Vec<String> {
    let at = bench.sent.iter().filter_map(|(at_ms, out)| match out {
        Out::Http { .. } | Out::Tell { .. } => Some(*at_ms),
        _ => None,
    });
    let word = |form: &[(String, String)]| {
        let found = |key: &str| form.iter().find(|(name, _)| name == key).cloned();
        let (_, word) = found("AnsweredBy").or_else(|| found("CallStatus"))?;
        Some(word)
    };
    let all = at.zip(bench.posts());
    all.map(|(at_ms, (_, form))| format!("{at_ms} {}", word(&form).unwrap_or_default()))
        .collect()
}

#[test]
fn a_callee_rings_answers_and_is_listened_to_beside_the_call() {
    let mut bench = ring(callee(Pickup::Answers), &[CONNECT]);
    bench.until(4_000);
    let told = told(&bench);
    let expected = [
        "0 initiated",
        "0 ringing",
        "3000 in-progress",
        "3000 in-progress",
        "3400 machine_start",
    ];
    assert_eq!(told, expected);
    assert_eq!(bench.phone.answered_ms(), Some(3_000));
    let (_, form) = bench.posts().remove(3);
    assert!(form.contains(&("Direction".to_owned(), "outbound-api".to_owned())));
}

#[test]
fn a_callee_who_does_not_answer_is_told_and_billed_nothing() {
    for (pickup, word) in [
        (Pickup::Busy, "3000 busy"),
        (Pickup::Never, "3000 no-answer"),
        (Pickup::Fails, "3000 failed"),
    ] {
        let mut bench = ring(callee(pickup), &[]);
        bench.until(20_000);
        assert_eq!(told(&bench), ["0 initiated", "0 ringing", word]);
        assert_eq!(bench.phone.billed_minutes(), 0);
    }
}
