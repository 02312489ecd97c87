//! Claims about the stream: sound both ways, marks, clears, and what the carrier complains about.

use super::*;

#[test]
fn the_callers_sound_leaves_every_20_ms_as_the_carrier_writes_it() {
    let mut bench = ring(
        scripted(vec![at(100, Act::Say(vec![8031; 80].into()))]),
        &[CONNECT],
    );
    bench.until(200);
    let start = &bench.frames("start")[0].1;
    assert_eq!(start["sequenceNumber"], "1");
    assert_eq!(
        start["start"]["customParameters"],
        json!({ "from": "+14155550123" })
    );
    let media = bench.frames("media");
    let times: Vec<u64> = media.iter().map(|(at_ms, _)| *at_ms).collect();
    assert_eq!(times, (1..=10).map(|n| n * 20).collect::<Vec<_>>());
    assert_eq!(media[9].1["media"]["timestamp"], "180");
    assert_eq!(media[9].1["media"]["chunk"], "10");
    assert_eq!(media[9].1["sequenceNumber"], "11");
    let payload = media[5].1["media"]["payload"].as_str().expect("a payload");
    let sound = STANDARD.decode_to_vec(payload).expect("base64");
    let loud: Vec<bool> = sound.iter().map(|&byte| decode_ulaw(byte) > 7000).collect();
    assert_eq!(
        loud,
        [[true; 80], [false; 80]].concat(),
        "exact to the sample"
    );
    assert_eq!(bench.phone.spoken()[799..=800], [0, 8031]);
}

#[test]
fn sound_is_heard_after_the_delay_and_its_mark_comes_back_after_another() {
    let mut bench = ring(slow_line(), &[CONNECT]);
    bench
        .until(1000)
        .plays(1600, 9000)
        .marks("1:200:g0")
        .marks("again");
    bench.until(1100).plays(37, 9000).until(2000);
    let first = bench.phone.heard().iter().position(|s| *s != 0);
    let last = bench.phone.heard().iter().rposition(|s| *s != 0);
    assert_eq!(
        (first, last),
        (Some(1040 * 8), Some(1240 * 8 + 36)),
        "one talk without a gap"
    );
    assert_eq!(
        bench.returned(),
        [(1280, "1:200:g0".to_owned()), (1280, "again".to_owned())]
    );
    assert_eq!(bench.phone.played("1:"), 1600);
    assert!(bench.phone.violations().is_empty());
}

#[test]
fn a_clear_cuts_exactly_and_returns_the_marks_of_sound_that_nobody_heard() {
    let mut bench = ring(slow_line(), &[CONNECT]);
    bench.until(1000);
    for name in ["1:500:g0", "1:1000:g0", "1:1500:g0"] {
        bench.plays(4000, 9000).marks(name);
    }
    bench
        .until(1700)
        .tell(json!({ "event": "clear" }))
        .until(1750);
    bench.plays(80, 9000).marks("2:10:g1").until(3000);
    // Heard from 1040 on; the clear is obeyed at 1740, 700 ms into the sound, and seen to be at 1780.
    let names: Vec<_> = bench.returned();
    let expected = [
        (1580, "1:500:g0"),
        (1780, "1:1000:g0"),
        (1780, "1:1500:g0"),
        (1840, "2:10:g1"),
    ];
    assert_eq!(
        names,
        expected.map(|(at_ms, name)| (at_ms, name.to_owned()))
    );
    assert_eq!(
        (bench.phone.played("1:"), bench.phone.played("2:")),
        (700 * 8, 80)
    );
    let cleared = &bench.phone.clears()[0];
    assert_eq!(
        (cleared.at_ms, cleared.dropped, cleared.stretch),
        (1740, 800 * 8, Some(1))
    );
    assert_eq!(bench.phone.heard()[1740 * 8..1790 * 8], [0; 400]);
}

#[test]
fn a_line_that_jitters_never_changes_the_order_and_the_same_seed_jitters_the_same() {
    let jittery = || {
        let line = Line {
            delay_ms: 30,
            jitter_ms: 60,
            lost_permille: 100,
        };
        let mut bench = ring(Setup { line, ..setup() }, &[CONNECT]);
        bench.until(500).plays(800, 9000).marks("m").until(4000);
        bench
    };
    let bench = jittery();
    let media = bench.frames("media");
    let number = |frame: &Value, key: &str| {
        frame["media"][key]
            .as_str()
            .and_then(|n| n.parse::<u64>().ok())
    };
    assert!(
        (120..195).contains(&media.len()),
        "one frame of ten is lost: {}",
        media.len()
    );
    assert!(media.windows(2).all(|two| two[0].0 <= two[1].0));
    assert!(
        media
            .windows(2)
            .all(|two| number(&two[0].1, "chunk") < number(&two[1].1, "chunk"))
    );
    let gap = |two: &[(u64, Value)]| {
        number(&two[1].1, "timestamp") > number(&two[0].1, "timestamp").map(|t| t + 20)
    };
    assert!(
        media.windows(2).any(gap),
        "a lost frame is a gap in the timestamps"
    );
    assert_eq!(bench.sent, jittery().sent);
}

#[test]
fn the_carriers_complaints_are_ours() {
    let mut bench = ring(setup(), &[CONNECT]);
    bench.until(100).tell(json!({ "event": "hello" }));
    bench.tell(json!({ "event": "clear", "why": "because" }));
    bench.sid = "MZ0".to_owned();
    bench.tell(json!({ "event": "clear" }));
    bench.phone.receive_binary(bench.now_ms);
    bench.phone.closed(bench.now_ms, Some(1011));
    bench.flush();
    let codes: Vec<u16> = bench
        .phone
        .violations()
        .iter()
        .map(|violation| violation.code)
        .collect();
    assert_eq!(codes, [31951, 31951, 31951, 31950, 31921]);
    for (stream, code) in [
        ("http://a/b", 31922),
        ("ws://bot.example.com/b", 31922),
        ("wss://a/b?c", 31920),
    ] {
        let document =
            format!(r#"<Response><Connect><Stream url="{stream}"/></Connect></Response>"#);
        let mut phone = Phone::new(setup());
        phone.start(0);
        phone.http_answered(0, 200, &document);
        assert_eq!(phone.violations()[0].code, code);
        assert_eq!(
            phone.ended(),
            Some((0, Ending::HungUp)),
            "the document goes on, to its end"
        );
    }
}

#[test]
fn a_caller_interrupts_the_agent_and_answers_when_it_is_silent() {
    let script = vec![
        Step {
            when: When::Interrupts { after_ms: 800 },
            act: Act::Say(speech(1000, 1).into()),
        },
        Step {
            when: When::Replies { after_ms: 500 },
            act: Act::HangUp,
        },
    ];
    let mut bench = ring(scripted(script), &[CONNECT]);
    bench.until(1000).plays(40_000, 9000).until(2000);
    bench
        .tell(json!({ "event": "clear" }))
        .until(4000)
        .plays(8000, 9000)
        .until(9000);
    expect_test::expect![[r#"
           0.000  carrier  asks https://bot.example.com/twilio/voice
           0.000  carrier  answers
           0.000  stream   open
           1.000  agent    speaks
           1.800  caller   speaks for 1.000s
           1.999  agent    is silent
           2.000  agent    cut, 4.000s unheard
           4.000  agent    speaks
           4.999  agent    is silent
           5.500  over     caller-hung-up
    "#]]
    .assert_eq(&bench.story());
}

#[test]
fn no_order_of_events_breaks_a_phone() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut phone = Phone::new(scripted(vec![
            at(2_000, Act::Press('1')),
            at(30_000, Act::HangUp),
        ]));
        let mut now_ms = 0;
        for _ in 0..60 {
            now_ms += dice.up_to(1500);
            match dice.up_to(11) {
                0 => phone.start(now_ms),
                1 | 2 => phone.http_answered(now_ms, 200, CONNECT),
                3 => phone.http_answered(now_ms, 200, HANGUP),
                4 => phone.unanswered(now_ms),
                5 | 6 => phone.opened(now_ms),
                7 => phone.refused(now_ms, 500),
                8 => phone.receive(now_ms, r#"{"event":"clear"}"#),
                9 => phone.closed(now_ms, None),
                10 => phone.order(now_ms, Order::Limit { seconds: 60 }),
                _ => phone.receive_binary(now_ms.saturating_sub(700)),
            }
            while phone.poll().is_some() {}
            assert!(phone.deadline().is_none_or(|due_ms| due_ms + 700 >= now_ms));
        }
        let ends = phone
            .timeline()
            .iter()
            .filter(|m| matches!(m.what, What::Ended(_)));
        assert!(ends.count() <= 1);
    }
}
