//! Calls in virtual time, against a server made of lines of text.

use super::*;
use crate::sim::dice::Dice;
use crate::sim::voice::speech;
use audio_codec_algorithms::{decode_ulaw, encode_ulaw};
use base64_simd::STANDARD;
use serde_json::{Value, json};

const VOICE: &str = "https://bot.example.com/twilio/voice";
const CONNECT: &str = r#"<Response><Connect action="/twilio/ended"><Stream url="wss://bot.example.com/media/7f3c">
    <Parameter name="from" value="+14155550123"/></Stream></Connect><Hangup/></Response>"#;
const HANGUP: &str = "<Response><Hangup/></Response>";

/// A phone, the time, and all it sent.
struct Bench {
    phone: Phone,
    now_ms: u64,
    documents: Vec<&'static str>,
    sent: Vec<(u64, Out)>,
    sid: String,
}

fn setup() -> Setup {
    let account = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let call = "CA00000000000000000000000000000001";
    Setup::new(VOICE, account, "0123456789abcdef0123456789abcdef", call)
}

/// Rings a server that answers with these documents, one after the other, at once.
fn ring(setup: Setup, documents: &[&'static str]) -> Bench {
    let mut bench = Bench {
        phone: Phone::new(setup),
        now_ms: 5_000,
        documents: documents.iter().rev().copied().collect(),
        sent: Vec::new(),
        sid: String::new(),
    };
    bench.phone.start(5_000);
    bench.flush();
    bench
}

impl Bench {
    /// Does what the phone wants done.
    fn flush(&mut self) {
        while let Some(out) = self.phone.poll() {
            self.sent.push((self.now_ms - 5_000, out.clone()));
            match out {
                Out::Http { .. } => match self.documents.pop() {
                    Some("") => self.phone.unanswered(self.now_ms),
                    Some(body) => self.phone.http_answered(self.now_ms, 200, body),
                    None => {}
                },
                Out::Open { .. } => self.phone.opened(self.now_ms),
                Out::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).expect("the phone sends JSON");
                    if let Some(sid) = frame["streamSid"].as_str() {
                        self.sid = sid.to_owned();
                    }
                }
                Out::Close | Out::Done => {}
            }
        }
    }

    /// Lets time pass until so many milliseconds after the call began.
    fn until(&mut self, ms: u64) -> &mut Self {
        while let Some(due_ms) = self.phone.deadline().filter(|due_ms| *due_ms <= ms + 5_000) {
            assert!(due_ms >= self.now_ms, "a deadline in the past");
            self.now_ms = due_ms;
            self.phone.wake(due_ms);
            self.flush();
            assert!(self.phone.deadline() > Some(due_ms) || self.phone.deadline().is_none());
        }
        self.now_ms = ms + 5_000;
        self.phone.wake(self.now_ms);
        self.flush();
        self
    }

    fn tell(&mut self, mut frame: Value) -> &mut Self {
        frame["streamSid"] = self.sid.clone().into();
        self.phone.receive(self.now_ms, &frame.to_string());
        self.flush();
        self
    }

    /// The server sends so many samples of one loudness.
    fn plays(&mut self, samples: usize, loudness: i16) -> &mut Self {
        let payload = STANDARD.encode_to_string(vec![encode_ulaw(loudness); samples]);
        self.tell(json!({ "event": "media", "media": { "payload": payload } }))
    }

    fn marks(&mut self, name: &str) -> &mut Self {
        self.tell(json!({ "event": "mark", "mark": { "name": name } }))
    }

    /// When each frame of this kind was sent, and the frame.
    fn frames(&self, event: &str) -> Vec<(u64, Value)> {
        let texts = self.sent.iter().filter_map(|(at_ms, out)| match out {
            Out::Text(text) => serde_json::from_str(text)
                .ok()
                .map(|frame: Value| (*at_ms, frame)),
            _ => None,
        });
        texts.filter(|(_, frame)| frame["event"] == event).collect()
    }

    fn returned(&self) -> Vec<(u64, String)> {
        let frames = self.frames("mark").into_iter();
        frames
            .map(|(at_ms, frame)| {
                (
                    at_ms,
                    frame["mark"]["name"].as_str().unwrap_or("").to_owned(),
                )
            })
            .collect()
    }

    fn posts(&self) -> Vec<(&str, Vec<(String, String)>)> {
        let posts = self.sent.iter().filter_map(|(_, out)| match out {
            Out::Http { url, body, headers } => {
                let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes())
                    .into_owned()
                    .collect();
                let token = "0123456789abcdef0123456789abcdef";
                let signature = sign::signature(token, url, &form);
                assert!(
                    headers.contains(&("X-Twilio-Signature", signature)),
                    "{url} is not signed"
                );
                Some((url.as_str(), form))
            }
            _ => None,
        });
        posts.collect()
    }

    fn story(&self) -> String {
        let moments = self.phone.timeline().iter();
        moments
            .map(|moment| format!("{}\n", moment.to_string().trim_start()))
            .collect()
    }

    fn ending(&self) -> Option<(u64, Ending)> {
        self.phone.ended()
    }
}

fn slow_line() -> Setup {
    Setup {
        line: Line {
            delay_ms: 40,
            ..Line::default()
        },
        ..setup()
    }
}

fn scripted(script: Vec<Step>) -> Setup {
    Setup { script, ..setup() }
}

fn at(ms: u64, act: Act) -> Step {
    let when = When::At { ms };
    Step { when, act }
}

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
fn when_the_server_closes_the_stream_the_carrier_asks_what_is_next_and_says_it() {
    let say = "<Response><Say>Goodbye.</Say><Hangup/></Response>";
    let mut bench = ring(setup(), &[CONNECT, say]);
    bench.until(2000).plays(8000, 9000);
    bench.phone.closed(bench.now_ms + 500, Some(1000));
    bench.now_ms += 500;
    bench.flush();
    bench.until(10_000);
    expect_test::expect![[r#"
           0.000  carrier  asks https://bot.example.com/twilio/voice
           0.000  carrier  answers
           0.000  stream   open
           2.000  agent    speaks
           2.499  agent    is silent
           2.500  stream   closed with 1000
           2.500  stream   ended with 0.500s unheard
           2.500  carrier  asks https://bot.example.com/twilio/ended
           2.500  carrier  says "Goodbye."
           3.420  over     hung-up
    "#]]
    .assert_eq(&bench.story());
    let posts = bench.posts();
    assert!(
        posts[0]
            .1
            .contains(&("CallStatus".to_owned(), "ringing".to_owned()))
    );
    assert!(
        posts[1]
            .1
            .contains(&("CallStatus".to_owned(), "in-progress".to_owned()))
    );
    assert_eq!(bench.phone.says(), ["Goodbye."]);
    assert_eq!(bench.sent.last().map(|(_, out)| out), Some(&Out::Done));
    assert!(bench.phone.violations().is_empty());
}

#[test]
fn the_handshake_is_signed() {
    let bench = ring(setup(), &[CONNECT]);
    let signature = sign::signature(
        "0123456789abcdef0123456789abcdef",
        "wss://bot.example.com/media/7f3c",
        &[],
    );
    let open = Out::Open {
        url: "wss://bot.example.com/media/7f3c".to_owned(),
        headers: vec![("X-Twilio-Signature", signature)],
    };
    assert!(bench.sent.iter().any(|(_, out)| *out == open));
}

#[test]
fn a_rejected_call_is_free_and_a_redirected_one_asks_elsewhere() {
    let reject = r#"<Response><Reject reason="busy"/></Response>"#;
    let bench = ring(setup(), &[reject]);
    assert_eq!(bench.ending(), Some((0, Ending::Rejected)));
    assert_eq!(
        (bench.phone.billed_minutes(), bench.phone.answered_ms()),
        (0, None)
    );
    let redirect = "<Response><Redirect>https://other.example.com/voice</Redirect></Response>";
    let bench = ring(setup(), &[redirect, reject]);
    assert_eq!(bench.posts()[1].0, "https://other.example.com/voice");
    assert_eq!(bench.phone.billed_minutes(), 0, "asking is not answering");
    let bench = ring(setup(), &[redirect; 30]);
    assert_eq!(
        bench.ending(),
        Some((0, Ending::ApplicationError)),
        "a circle has an end"
    );
    let bench = ring(setup(), &[HANGUP]);
    assert_eq!(
        bench.phone.billed_minutes(),
        1,
        "answering costs a minute, however short"
    );
}

#[test]
fn a_document_that_cannot_be_read_or_never_comes_is_an_application_error() {
    for (documents, code) in [(&["<Nonsense"][..], 12100), (&[""], 11205), (&[], 11205)] {
        let mut bench = ring(setup(), documents);
        bench.until(16_000);
        assert_eq!(
            bench.ending().map(|(_, ending)| ending),
            Some(Ending::ApplicationError)
        );
        assert_eq!(bench.phone.violations()[0].code, code, "{documents:?}");
    }
    let mut phone = Phone::new(setup());
    phone.start(0);
    phone.http_answered(3, 403, "Forbidden");
    assert_eq!(phone.ended(), Some((3, Ending::ApplicationError)));
}

#[test]
fn a_caller_who_hangs_up_leaves_the_stream_properly_and_pays_for_started_minutes() {
    let mut setup = scripted(vec![at(500, Act::Press('5')), at(60_001, Act::HangUp)]);
    setup.status_callback = Some("https://bot.example.com/twilio/status".to_owned());
    setup.line.delay_ms = 40;
    let mut bench = ring(setup, &[CONNECT, "ok"]);
    bench.until(62_000);
    assert_eq!(bench.frames("dtmf")[0].1["dtmf"]["digit"], "5");
    assert_eq!(bench.frames("dtmf")[0].0, 540);
    assert_eq!(bench.frames("stop")[0].0, 60_041);
    assert_eq!(bench.ending(), Some((60_001, Ending::CallerHungUp)));
    assert_eq!(
        (bench.phone.duration_ms(), bench.phone.billed_minutes()),
        (60_001, 2)
    );
    let last: Vec<&Out> = bench
        .sent
        .iter()
        .rev()
        .take(3)
        .map(|(_, out)| out)
        .collect();
    assert!(
        matches!(last[..], [Out::Done, Out::Http { .. }, Out::Close]),
        "{last:?}"
    );
    assert!(
        bench.posts()[1]
            .1
            .contains(&("Duration".to_owned(), "2".to_owned()))
    );
    assert_eq!(
        bench.phone.heard().len(),
        60_001 * 8,
        "nothing is heard after the end"
    );
}

#[test]
fn the_api_ends_a_call_at_once_or_at_its_limit() {
    let mut bench = ring(setup(), &[CONNECT]);
    bench
        .until(1000)
        .phone
        .order(6_000, Order::Limit { seconds: 60 });
    bench.until(90_000);
    assert_eq!(bench.ending(), Some((60_000, Ending::TimeLimit)));
    assert_eq!(bench.phone.billed_minutes(), 1);
    let mut bench = ring(setup(), &[CONNECT]);
    bench.until(1000).phone.order(6_000, Order::Complete);
    bench.until(2000);
    assert_eq!(bench.ending(), Some((1000, Ending::Completed)));
    assert_eq!(bench.frames("stop").len(), 1);
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
fn a_refused_stream_lets_the_document_go_on() {
    let mut phone = Phone::new(setup());
    phone.start(0);
    phone.http_answered(1, 200, CONNECT);
    phone.refused(2, 403);
    phone.http_answered(3, 200, HANGUP);
    assert_eq!(phone.ended(), Some((3, Ending::HungUp)));
    assert_eq!(phone.violations()[0].code, 31920);
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
