//! The core under arbitrary inputs: whatever happens to a call, in whatever order, its promises hold.
//!
//! `RINGFENCE_SEQUENCES` says how many random calls to try (20,000 unless told); `RINGFENCE_SEED` where to begin. Each call is driven
//! twice, for the same inputs must have the same outputs; `RINGFENCE_TRACE` prints all that happens.

use ringfence::call::invariants::Checker;
use ringfence::call::rules::{Cap, Edge, Margins, Rules};
use ringfence::call::{Call, Input, Order, Output, Phase, Ticket, Verdict};
use ringfence::carrier::{self, Mark};
use ringfence::pricing::{ModelPrice, TranscriptionPrice, TranscriptionUsage, Usage};
use ringfence::realtime::{self, Code, Complaint, Gravity, Loss, Status};
use ringfence::units::{CallTime, Id, Usd};
use std::sync::Arc;

/// SplitMix64: a generator small enough to be read, so that a seed means the same call for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

fn random_rules(random: &mut Random) -> Rules {
    let end = Usd::from_micros(20_000 + random.below(1_000_000));
    let duration_end = 5_000 + random.below(400_000);
    let silence_end = 2_000 + random.below(60_000);
    let audio = 10_000 + random.below(30_000);
    Rules {
        spend: Cap {
            warn: Usd::from_nanos(end.nanos() / 10 * random.below(10)),
            end,
        },
        duration_ms: Cap {
            warn: random.below(duration_end),
            end: duration_end,
        },
        silence_ms: Cap {
            warn: random.below(silence_end),
            end: silence_end,
        },
        greeting: if random.chance(50) {
            "Greet.".into()
        } else {
            "".into()
        },
        goodbye: "Say goodbye.".into(),
        goodbye_sentence: "Goodbye.".into(),
        trouble_sentence: "Sorry.".into(),
        max_output_tokens: 160 + random.below(4_000) as u32,
        settings_tokens: random.below(2_000),
        prefix_padding_ms: 300,
        provider_interrupts: random.chance(50),
        lead_ms: 200 + random.below(200),
        message_ms: 100 + random.below(100),
        model: ModelPrice {
            text_in: audio / 8,
            cached_text: audio / 80,
            audio_in: audio,
            cached_audio: audio / 80,
            image_in: audio / 6,
            cached_image: audio / 60,
            text_out: audio,
            audio_out: audio * 2,
        },
        transcription: match random.below(3) {
            0 => None,
            1 => Some(TranscriptionPrice::PerMinute(Usd::from_micros(
                random.below(20_000),
            ))),
            _ => Some(TranscriptionPrice::Tokens {
                text_in: 1_250,
                audio_in: 3_000,
                text_out: 5_000,
            }),
        },
        minute: Usd::from_micros(random.below(30_000)),
        say: Usd::from_micros(random.below(3_000)),
        answer_timeout_ms: 1_000 + random.below(8_000),
        edge: Edge {
            tell: random.chance(80),
            shorten: random.chance(80),
            shrink: random.chance(80),
            min_output_tokens: 160 + random.below(3) as u32 * 100,
        },
        context_tokens: 500 + random.below(4_000),
        keep_turns: random.below(4) as u32,
        margins: Margins::default(),
    }
}

/// What the other sides of the call could sensibly say next, and much that they could not.
#[derive(Default)]
struct World {
    nonces: u64,
    items: u64,
    marks: Vec<Mark>,
    asked: bool,
}

impl World {
    fn saw(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Realtime(realtime::Command::Respond(request)) => {
                    self.nonces = request.nonce
                }
                Output::Carrier(carrier::Command::Play { mark, .. }) => self.marks.push(*mark),
                Output::Budget(_) => self.asked = true,
                _ => {}
            }
        }
    }

    fn nonce(&self, random: &mut Random) -> Option<u64> {
        match random.below(400) {
            0 => None,
            1 => Some(random.next()),
            2..40 => Some(random.below(self.nonces + 1)),
            _ => Some(self.nonces),
        }
    }

    fn response(&mut self, random: &mut Random) -> Id {
        let back = if random.chance(80) {
            0
        } else {
            random.below(4)
        };
        Id::from(format!("r{}", self.nonces.saturating_sub(back)).as_str())
    }

    fn item(&mut self, random: &mut Random) -> Id {
        let back = if random.chance(70) {
            0
        } else {
            random.below(4)
        };
        Id::from(format!("i{}", self.items.saturating_sub(back)).as_str())
    }

    fn carrier(&mut self, random: &mut Random) -> carrier::Event {
        match random.below(40) {
            0 if random.chance(20) => carrier::Event::Stopped,
            1 => carrier::Event::Digit('5'),
            2 if random.chance(10) => carrier::Event::Lost,
            3..6 => carrier::Event::Started,
            6..20 if !self.marks.is_empty() => {
                let place = if random.chance(80) {
                    0
                } else {
                    random.below(self.marks.len() as u64)
                };
                carrier::Event::Played(self.marks.remove(place as usize))
            }
            20 => carrier::Event::Played(Mark {
                item: random.below(9) as u32,
                until_ms: random.next(),
                generation: random.below(3) as u32,
            }),
            _ => carrier::Event::Heard {
                ms: [20, 20, 100, random.below(20_000)][random.below(4) as usize],
            },
        }
    }

    fn realtime(&mut self, random: &mut Random) -> realtime::Event {
        use realtime::Event;
        match random.below(60) {
            0..3 => Event::SpeechStarted,
            3..5 => Event::SpeechStopped,
            5..12 => {
                self.items += 1;
                Event::Committed {
                    item: self.item(random),
                }
            }
            12..17 => Event::Transcribed {
                item: self.item(random),
                text: "words".into(),
                usage: random_transcription(random),
            },
            17 => Event::TranscriptionFailed {
                item: self.item(random),
            },
            18..26 => {
                let nonce = self.nonce(random);
                let response = Id::from(format!("r{}", nonce.unwrap_or(0)).as_str());
                Event::ResponseStarted { response, nonce }
            }
            26..40 => {
                self.items += u64::from(random.chance(20));
                let most = if random.chance(90) { 20_000 } else { u64::MAX };
                let until_ms = random.below(most);
                Event::Spoke {
                    response: self.response(random),
                    item: self.item(random),
                    until_ms,
                }
            }
            40..44 => Event::SpokeAll {
                response: self.response(random),
                item: self.item(random),
            },
            44..54 => Event::ResponseDone {
                response: self.response(random),
                nonce: self.nonce(random),
                status: random.pick(&[
                    Status::Completed,
                    Status::Completed,
                    Status::Cancelled,
                    Status::Incomplete,
                    Status::Failed(Code::new("server_error")),
                ]),
                usage: random_usage(random),
            },
            54..56 => self.complaint(random),
            56 => Event::Said {
                response: self.response(random),
                item: self.item(random),
                text: "so many words".into(),
            },
            57 if random.chance(10) => Event::Lost(Loss::Dropped),
            58 if random.chance(5) => Event::Configured(Err("tools")),
            _ => Event::Truncated {
                item: self.item(random),
            },
        }
    }

    fn complaint(&self, random: &mut Random) -> realtime::Event {
        use realtime::Event;
        Event::Complained(Complaint {
            gravity: random.pick(&[
                Gravity::Benign,
                Gravity::Benign,
                Gravity::Ignored,
                Gravity::Retry,
            ]),
            code: Code::new("x"),
            about: if random.chance(50) {
                self.nonce(random)
            } else {
                None
            },
        })
    }

    fn input(&mut self, random: &mut Random) -> Input {
        match random.below(100) {
            0 if random.chance(10) => Input::Order(random.pick(&[Order::WrapUp, Order::HangUp])),
            1..10 if self.asked => {
                self.asked = random.chance(30);
                Input::Budget(match random.below(4) {
                    0 => Verdict::Refused,
                    _ => Verdict::Granted(Usd::from_micros(random.below(300_000))),
                })
            }
            0..12 => Input::Wake,
            12..50 => Input::Carrier(self.carrier(random)),
            _ => Input::Realtime(self.realtime(random)),
        }
    }
}

fn random_usage(random: &mut Random) -> Option<Usage> {
    let scale: u64 = match random.below(20) {
        0 => return None,
        1 if random.chance(10) => 20_000,
        2..4 => 0,
        _ => 150,
    };
    let text_in = random.below(scale * 2);
    Some(Usage {
        text_in,
        audio_in: random.below(scale),
        cached_text: random.below(text_in + 1),
        text_out: random.below(scale / 4),
        audio_out: random.below(scale),
        ..Usage::default()
    })
}

fn random_transcription(random: &mut Random) -> Option<TranscriptionUsage> {
    match random.below(3) {
        0 => None,
        1 => Some(TranscriptionUsage::Duration {
            millis: random.below(1_500),
        }),
        _ => Some(TranscriptionUsage::Tokens {
            text_in: 0,
            audio_in: random.below(20),
            text_out: random.below(10),
        }),
    }
}

/// One call from beginning to end. Every alarm is obeyed; between them anything may happen.
fn run(seed: u64) -> Result<Vec<Output>, String> {
    let mut random = Random(seed);
    let mut rules = random_rules(&mut random);
    // A call that cannot even be answered for its grant is refused before it begins.
    let least = rules.minute.plus(rules.say);
    rules.spend.end = rules.spend.end.max(least);
    let cap = rules.spend.end;
    let granted = if random.chance(60) {
        cap
    } else {
        Usd::from_nanos(random.below(cap.nanos())).max(least)
    };
    let ticket = Ticket {
        call: "rf-0".into(),
        rules: Arc::new(rules),
        granted,
    };
    let (mut call, mut twin) = (Call::new(ticket.clone()), Call::new(ticket));
    let (mut world, mut checker, mut history) = (World::default(), Checker::default(), Vec::new());
    let (mut now, mut leap) = (CallTime::ZERO, CallTime::ZERO);
    let orderly = random.chance(80);
    let mut opening = vec![
        Input::Realtime(realtime::Event::Configured(Ok(()))),
        Input::Realtime(realtime::Event::Created { expires_at_s: None }),
        Input::Carrier(carrier::Event::Started),
        Input::Wake,
    ];
    for _ in 0..500 {
        if matches!(call.phase(), Phase::Over(_)) && random.chance(80) {
            return Ok(history);
        }
        // Now and then straight to where a minute begins: that is where money runs out.
        if leap <= now && random.below(400) == 0 {
            leap =
                CallTime::from_millis((now.millis() / 60_000 + 1) * 60_000 - random.below(14_000));
        }
        let step = random.pick(&[0, 0, 5, 5, 20, 20, 20, 100, 100, 400, 400, 2_000]);
        let next = if leap > now { leap } else { now.plus(step) };
        let (at, input) = match call.deadline() {
            // The webhook is answered before anything else can happen.
            None if history.is_empty() => (now, Input::Wake),
            Some((due, _)) if due <= next => (due, Input::Wake),
            _ if orderly && !opening.is_empty() => (next, opening.pop().unwrap_or(Input::Wake)),
            _ => (next, world.input(&mut random)),
        };
        now = now.max(at);
        let (mut outputs, mut again) = (Vec::new(), Vec::new());
        call.handle(now, input.clone(), &mut outputs);
        twin.handle(now, input.clone(), &mut again);
        if std::env::var_os("RINGFENCE_TRACE").is_some() {
            eprintln!("{now} {input:?}\n      -> {outputs:?}");
        }
        if outputs != again {
            return Err(format!("9: {input:?} had two outcomes"));
        }
        checker
            .check(&call, now, &input, &outputs)
            .map_err(|broken| format!("{broken}, by {input:?} at {now}"))?;
        world.saw(&outputs);
        history.extend(outputs);
    }
    Ok(history)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

#[test]
fn every_promise_holds_for_random_calls() {
    let (from, count) = (
        number("RINGFENCE_SEED", 0),
        number("RINGFENCE_SEQUENCES", 20_000),
    );
    let (mut talked, mut goodbyes, mut billed) = (0_u64, 0_u64, 0_u64);
    for seed in from..from + count {
        let history = run(seed).unwrap_or_else(|broken| panic!("seed {seed}: invariant {broken}"));
        let has = |word: &str| {
            let facts = history.iter().filter_map(|output| match output {
                Output::Record(fact) => Some(fact.what.word()),
                _ => None,
            });
            u64::from(facts.into_iter().any(|fact| fact == word))
        };
        talked += has("first-word");
        goodbyes += has("wrapping-up");
        billed += has("turn");
    }
    println!(
        "{count} calls: {talked} talked, {billed} were billed for answers, {goodbyes} said goodbye"
    );
    // A generator that never gets anywhere would prove nothing.
    assert!(talked > count / 12 && billed > count / 8 && goodbyes > count / 8);
}

/// All inputs worth telling apart, in every order up to a length: small enough to try them all.
#[test]
fn every_promise_holds_for_every_short_sequence() {
    let id = Id::from("i1");
    let response = Id::from("r1");
    let usage = Some(Usage {
        audio_in: 10,
        audio_out: 20,
        ..Usage::default()
    });
    use realtime::Event;
    let alphabet: Vec<Input> = vec![
        Input::Carrier(carrier::Event::Started),
        Input::Carrier(carrier::Event::Heard { ms: 400 }),
        Input::Carrier(carrier::Event::Played(Mark {
            item: 1,
            until_ms: 100,
            generation: 0,
        })),
        Input::Carrier(carrier::Event::Stopped),
        Input::Realtime(Event::Configured(Ok(()))),
        Input::Realtime(Event::SpeechStarted),
        Input::Realtime(Event::Committed { item: id.clone() }),
        Input::Realtime(Event::ResponseStarted {
            response: response.clone(),
            nonce: Some(1),
        }),
        Input::Realtime(Event::Spoke {
            response: response.clone(),
            item: id,
            until_ms: 500,
        }),
        Input::Realtime(Event::ResponseDone {
            response,
            nonce: Some(1),
            status: Status::Completed,
            usage,
        }),
        Input::Realtime(Event::Lost(Loss::Dropped)),
        Input::Order(Order::WrapUp),
        Input::Wake,
    ];
    let length = number("RINGFENCE_LENGTH", 4) as u32;
    let mut random = Random(7);
    let rules = Arc::new(Rules {
        greeting: "Greet.".into(),
        ..random_rules(&mut random)
    });
    let fresh = Call::new(Ticket {
        call: "rf-0".into(),
        granted: rules.spend.end,
        rules,
    });
    for mut code in 0..alphabet.len().pow(length) {
        let (mut call, mut checker, mut now) = (fresh.clone(), Checker::default(), CallTime::ZERO);
        let mut played = Vec::new();
        for _ in 0..length {
            let input = alphabet[code % alphabet.len()].clone();
            code /= alphabet.len();
            // `Wake` lets time pass until the next alarm.
            if let (Input::Wake, Some((due, _))) = (&input, call.deadline()) {
                now = now.max(due);
            }
            let mut outputs = Vec::new();
            call.handle(now, input.clone(), &mut outputs);
            played.push(input.clone());
            checker
                .check(&call, now, &input, &outputs)
                .unwrap_or_else(|broken| panic!("invariant {broken} after {played:#?}"));
        }
    }
}
