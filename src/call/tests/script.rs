//! Calls written as text: what happens, a line each, and what comes of it, a line each.

use crate::audio::ear::{Heard, Hold};
use crate::audio::level::Level;
use crate::call::invariants::Checker;
use crate::call::record::What;
use crate::call::rules::{Abilities, Cap, Edge, Manner, Margins, Renewal, Rules};
use crate::call::tools::{Outcome, ToolResult};
use crate::call::{Call, Input, Order, Output, Phase, Ticket, Verdict};
use crate::carrier::{self, Answerer, Mark};
use crate::pricing::{ModelPrice, TranscriptionPrice, TranscriptionUsage, Usage};
use crate::realtime::{self, Code, Complaint, Gravity, Loss, RequestKind, Status};
use crate::units::{CallTime, Id, Usd};
use expect_test::Expect;
use std::sync::Arc;

pub const fn cents(cents: u64) -> Usd {
    Usd::from_micros(cents * 10_000)
}

/// An agent with generous caps, on a model priced like `gpt-realtime-2.1`.
pub fn rules() -> Rules {
    Rules {
        spend: Cap {
            warn: cents(400),
            end: cents(500),
        },
        duration_ms: Cap {
            warn: 240_000,
            end: 300_000,
        },
        silence_ms: Cap {
            warn: 20_000,
            end: 40_000,
        },
        greeting: "".into(),
        goodbye: "Say goodbye.".into(),
        goodbye_sentence: "Goodbye.".into(),
        trouble_sentence: "Sorry.".into(),
        max_output_tokens: 1024,
        settings_tokens: 200,
        prefix_padding_ms: 300,
        provider_interrupts: true,
        // Everything at once: most tests are about what is said, not about how it is paced.
        lead_ms: 1_000_000,
        message_ms: 1_000_000,
        model: ModelPrice {
            text_in: 4_000,
            cached_text: 400,
            audio_in: 32_000,
            cached_audio: 400,
            image_in: 5_000,
            cached_image: 500,
            text_out: 24_000,
            audio_out: 64_000,
        },
        transcription: Some(TranscriptionPrice::Tokens {
            text_in: 1_250,
            audio_in: 3_000,
            text_out: 5_000,
        }),
        minute: Usd::from_micros(12_500),
        say: Usd::ZERO,
        fee: Usd::ZERO,
        answer_timeout_ms: 8_000,
        edge: Edge::default(),
        context_tokens: 2_000,
        words_tokens: 16_000,
        keep_turns: 2,
        model_name: "main".into(),
        abilities: Abilities::default(),
        manner: Manner::default(),
        renewal: Renewal::default(),
        out_of_band: true,
        moment_ms: 1_200,
        margins: Margins::default(),
    }
}

/// Plays the script under these rules, with all the money there is, and compares what was told.
pub fn check_with(rules: Rules, script: &str, expected: Expect) {
    expected.assert_eq(&play(rules, cents(500), script));
}

/// Plays the script under the ordinary rules.
pub fn check(script: &str, expected: Expect) {
    check_with(rules(), script, expected);
}

/// Plays the script to a call, and tells everything it did.
pub fn play(rules: Rules, granted: Usd, script: &str) -> String {
    play_of(vec![rules], granted, script)
}

/// The same for an agent with several models, best first.
pub fn play_of(models: Vec<Rules>, granted: Usd, script: &str) -> String {
    let mut told = String::new();
    let able = models[0].abilities.is_any();
    for (now, output) in outputs_of(models, granted, script) {
        // Worth telling only of an agent that has tools to leave out.
        let bare = able && is_without_tools(&output);
        let tools = if bare { " without tools" } else { "" };
        if let Some(line) = tell(&output) {
            told.push_str(&format!("{:<6} {line}{tools}\n", Seconds(now)));
        }
    }
    told
}

fn is_without_tools(output: &Output) -> bool {
    let Output::Realtime(realtime::Command::Respond(request)) = output else {
        return false;
    };
    request.kind == RequestKind::Answer && !request.tools
}

/// Plays the script to a call, waking it at each of its deadlines: everything it did, and when.
pub fn outputs(rules: Rules, granted: Usd, script: &str) -> Vec<(CallTime, Output)> {
    outputs_of(vec![rules], granted, script)
}

fn outputs_of(models: Vec<Rules>, granted: Usd, script: &str) -> Vec<(CallTime, Output)> {
    let mut all = Vec::new();
    let mut models = models.into_iter().map(Arc::new);
    let ticket = Ticket {
        call: "rf-1".into(),
        rules: models.next().expect("a model"),
        others: models.collect(),
        began_unix_s: 0,
        granted,
    };
    let mut call = Call::new(ticket);
    let mut checker = Checker::default();
    let mut feed = |call: &mut Call, now: CallTime, input: Input| {
        let mut outputs = Vec::new();
        call.handle(now, input.clone(), &mut outputs);
        checker
            .check(call, now, &input, &outputs)
            .unwrap_or_else(|broken| panic!("{broken}"));
        all.extend(outputs.into_iter().map(|output| (now, output)));
    };
    feed(&mut call, CallTime::ZERO, Input::Wake);
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (at, what) = line.split_once(' ').expect("a time and an event");
        let at = CallTime::from_millis(millis(at));
        while let Some((due, _)) = call.deadline().filter(|(due, _)| *due < at) {
            feed(&mut call, due, Input::Wake);
        }
        for input in read(what.trim()) {
            feed(&mut call, at, input);
        }
    }
    // A call that is over waits for its last reports, with nobody to tell of them.
    while let Some((due, _)) = call
        .deadline()
        .filter(|_| matches!(call.phase(), Phase::Over(_)))
    {
        feed(&mut call, due, Input::Wake);
    }
    all
}

/// Seconds as tests write them: `1.0`, `1.06`.
struct Seconds(CallTime);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string();
        let kept = text.trim_end_matches('0');
        f.pad(&if kept.ends_with('.') {
            format!("{kept}0")
        } else {
            kept.to_string()
        })
    }
}

fn millis(seconds: &str) -> u64 {
    let (whole, part) = seconds
        .trim_end_matches('s')
        .split_once('.')
        .expect("seconds, such as 1.0");
    whole.parse::<u64>().unwrap() * 1000 + format!("{part:0<3}")[..3].parse::<u64>().unwrap()
}

/// The inputs that a line stands for.
fn read(line: &str) -> Vec<Input> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[0] {
        "carrier" => vec![Input::Carrier(read_carrier(&words[1..]))],
        "realtime" => read_realtime(&words[1..])
            .into_iter()
            .map(Input::Realtime)
            .collect(),
        "budget" => vec![Input::Budget(match words[1..] {
            ["granted", amount] => Verdict::Granted(Usd::parse(amount).unwrap()),
            ["refused"] => Verdict::Refused,
            _ => panic!("{line}"),
        })],
        "standby" => read_realtime(&words[1..])
            .into_iter()
            .map(Input::Standby)
            .collect(),
        "ear" => vec![Input::Ear(match words[1] {
            "speech" => Heard::Speech,
            "quiet" => Heard::Quiet,
            _ => Heard::Hold(Hold::Music),
        })],
        "level" => vec![Input::Level(match words[1] {
            "silent" => Level::Silent,
            _ => Level::Sounding,
        })],
        "tool" => vec![Input::Tool(ToolResult {
            tool_call: words[1].into(),
            outcome: if words[2] == "failed" {
                Outcome::Failed
            } else {
                Outcome::Done
            },
            output: words[3..].join(" "),
        })],
        "operator" if words[1] == "wraps-up" => vec![Input::Order(Order::WrapUp)],
        "operator" => vec![Input::Order(Order::HangUp)],
        "wait" => vec![Input::Wake],
        _ => panic!("{line}"),
    }
}

fn read_carrier(words: &[&str]) -> carrier::Event {
    match words {
        ["started"] => carrier::Event::Started,
        ["heard", ms] => carrier::Event::Heard { ms: millis(ms) },
        ["digit", digit] => carrier::Event::Digit(digit.chars().next().unwrap()),
        ["played", mark] => carrier::Event::Played(Mark::parse(mark).unwrap()),
        ["stopped"] => carrier::Event::Stopped,
        ["lost"] => carrier::Event::Lost,
        ["not-transferred"] => carrier::Event::NotTransferred,
        ["leg-ended", seconds] => carrier::Event::LegEnded {
            seconds: seconds.parse().ok(),
        },
        ["ended"] => carrier::Event::Ended { seconds: None },
        ["answered-by-machine"] => carrier::Event::AnsweredBy(Answerer::Machine),
        _ => panic!("{words:?}"),
    }
}

fn read_realtime(words: &[&str]) -> Vec<realtime::Event> {
    use realtime::Event;
    let id = |text: &str| Id::from(text);
    match words {
        ["ready"] => vec![
            Event::Created { expires_at_s: None },
            Event::Configured(Ok(())),
        ],
        ["created"] => vec![Event::Created { expires_at_s: None }],
        ["configured"] => vec![Event::Configured(Ok(()))],
        ["differs", "max_output_tokens"] => vec![Event::Configured(Err("max_output_tokens"))],
        ["caller-spoke"] => vec![Event::SpeechStarted],
        ["turn", item] => vec![Event::SpeechStopped, Event::Committed { item: id(item) }],
        ["transcribed", item, tokens] => {
            let tokens = tokens.parse().unwrap();
            let usage = TranscriptionUsage::Tokens {
                text_in: 0,
                audio_in: tokens,
                text_out: tokens,
            };
            vec![Event::Transcribed {
                item: id(item),
                text: String::new(),
                usage: Some(usage),
            }]
        }
        ["said", item, words @ ..] => vec![read_words(item, words.join(" "))],
        ["began", response] => {
            let nonce = response
                .strip_prefix('r')
                .and_then(|nonce| nonce.parse().ok());
            vec![Event::ResponseStarted {
                response: id(response),
                nonce,
            }]
        }
        ["spoke", response, item, until] => {
            vec![Event::Spoke {
                response: id(response),
                item: id(item),
                until_ms: millis(until),
            }]
        }
        ["spoke-all", response, item, until] => {
            let (response, item) = (id(response), id(item));
            vec![
                Event::Spoke {
                    response: response.clone(),
                    item: item.clone(),
                    until_ms: millis(until),
                },
                Event::SpokeAll { response, item },
            ]
        }
        ["done", response, status, tokens @ ..] => vec![read_done(response, status, tokens)],
        ["complained", gravity, code, about @ ..] => vec![read_complaint(gravity, code, about)],
        ["lost"] => vec![Event::Lost(Loss::Dropped)],
        ["refused", code] => vec![Event::Lost(Loss::Refused(Code::new(code)))],
        _ => read_rarer(words),
    }
}

fn read_rarer(words: &[&str]) -> Vec<realtime::Event> {
    use realtime::Event;
    let id = |text: &str| Id::from(text);
    match words {
        ["ready-until", seconds] => vec![
            Event::Created {
                expires_at_s: Some(seconds.parse().unwrap()),
            },
            Event::Configured(Ok(())),
        ],
        ["saying", item, words @ ..] => vec![Event::Saying {
            response: id("r"),
            item: id(item),
            text: words.join(" "),
        }],
        ["calls", response, tool_call, name, arguments @ ..] => vec![Event::ToolCalled {
            response: id(response),
            item: id(tool_call),
            tool_call: id(tool_call),
            name: (*name).into(),
            arguments: arguments.join(" "),
        }],
        _ => panic!("{words:?}"),
    }
}

/// The words of an item: the caller's, when it is called `you-…`.
fn read_words(item: &str, text: String) -> realtime::Event {
    let (of_caller, item) = (item.starts_with("you"), Id::from(item));
    if of_caller {
        return realtime::Event::Transcribed {
            item,
            text,
            usage: None,
        };
    }
    let response = Id::from("r");
    realtime::Event::Said {
        response,
        item,
        text,
    }
}

/// A response's end: `TEXT_IN AUDIO_IN TEXT_OUT AUDIO_OUT`, perhaps with `cached TEXT AUDIO`, or no usage at all.
fn read_done(response: &str, status: &str, tokens: &[&str]) -> realtime::Event {
    let status = match status {
        "completed" => Status::Completed,
        "cancelled" => Status::Cancelled,
        "incomplete" => Status::Incomplete,
        _ => Status::Failed(Code::new("server_error")),
    };
    let nonce = response
        .strip_prefix('r')
        .and_then(|nonce| nonce.parse().ok());
    let number = |place: usize| tokens.get(place).map_or(0, |n| n.parse().unwrap());
    let usage = (!tokens.is_empty()).then(|| Usage {
        text_in: number(0),
        audio_in: number(1),
        text_out: number(2),
        audio_out: number(3),
        cached_text: number(5),
        cached_audio: number(6),
        ..Usage::default()
    });
    realtime::Event::ResponseDone {
        response: response.into(),
        nonce,
        status,
        usage,
    }
}

fn read_complaint(gravity: &str, code: &str, about: &[&str]) -> realtime::Event {
    let gravity = match gravity {
        "benign" => Gravity::Benign,
        "ignored" => Gravity::Ignored,
        "retry" => Gravity::Retry,
        _ => Gravity::Fatal,
    };
    realtime::Event::Complained(Complaint {
        gravity,
        code: Code::new(code),
        about: about.first().map(|nonce| nonce.parse().unwrap()),
    })
}

/// An output as a line; `None` for what tests are rarely about.
fn tell(output: &Output) -> Option<String> {
    Some(match output {
        Output::Carrier(command) => tell_carrier(command)?,
        Output::Realtime(command) => tell_realtime(command),
        Output::Standby(command) => tell_realtime(command).replacen("realtime", "standby ", 1),
        Output::TakeOver => "standby   takes-over".into(),
        Output::Sound { item, sound } => format!("sound     {item} {sound:?}"),
        Output::Tool(call) => format!("tool      {call:?}"),
        Output::Transcript(told) => {
            format!(
                "told      {}: {:?} {:?}",
                told.who.word(),
                told.heard,
                told.unheard
            )
        }
        Output::Budget(ask) => format!("budget    {ask:?}"),
        // These two are for the ledger: what they say is said by the command that follows.
        Output::Record(fact) if matches!(fact.what, What::Asked { .. } | What::Listening) => {
            return None;
        }
        Output::Record(fact) => {
            let cost = fact.what.cost();
            let cost = if cost.is_zero() {
                String::new()
            } else {
                format!(" ${cost}")
            };
            format!("fact      {}{cost}", fact.what.word())
        }
        Output::Close(ending) => format!("over      {ending:?}"),
    })
}

fn tell_carrier(command: &carrier::Command) -> Option<String> {
    use carrier::Command;
    Some(match command {
        Command::Play { mark, ms } => format!("carrier   play {mark} {ms}ms"),
        Command::Clear => "carrier   clear".into(),
        Command::Limit { seconds } => format!("carrier   limit {seconds}s"),
        Command::Transfer(transfer) => format!(
            "carrier   transfer to {} for {}s, whole call {}s, {:?}",
            transfer.to.reveal(),
            transfer.limit_s,
            transfer.call_limit_s,
            transfer.say
        ),
        Command::LastWords(words) => format!("carrier   say {words:?}"),
        Command::Close => "carrier   close".into(),
        Command::Complete { .. } => return None,
    })
}

fn tell_realtime(command: &realtime::Command) -> String {
    use realtime::Command;
    match command {
        Command::Open { .. } => "realtime  open".into(),
        Command::Configure => "realtime  configure".into(),
        Command::Append { ms } => format!("realtime  append {ms}ms"),
        Command::AppendSilence { ms } => format!("realtime  append-silence {ms}ms"),
        Command::ClearInput => "realtime  clear-input".into(),
        Command::Add(item) => format!("realtime  add {item:?}"),
        Command::Insert { after, item } => format!("realtime  insert behind {after} {item:?}"),
        Command::Respond(request) => {
            let kind = match request.kind {
                RequestKind::Answer => "respond",
                RequestKind::Goodbye { .. } => "goodbye",
            };
            format!(
                "realtime  {kind} r{} max {}",
                request.nonce, request.max_output_tokens
            )
        }
        Command::Cancel {
            response: Some(response),
        } => format!("realtime  cancel {response}"),
        Command::Cancel { response: None } => "realtime  cancel".into(),
        Command::Truncate { item, heard_ms } => {
            format!("realtime  truncate {item} at {heard_ms}ms")
        }
        Command::Delete { item } => format!("realtime  delete {item}"),
        Command::Close => "realtime  close".into(),
    }
}
