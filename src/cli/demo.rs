//! `ringfence demo`: three calls, offline, in under a minute.
//!
//! The real server runs on the loopback, between a simulated phone and a simulated model. Nothing is played back: the turns, the
//! interruption, the spend and the endings are what the server makes of three callers. Who watches should understand, without reading
//! anything else, what a cap is and what it feels like to the caller.

use super::world::{Plan, World};
use super::{asked_to_stop, failed, on_runtime};
use crate::call::record::{Fact, Summary, What};
use crate::observe::Live;
use crate::sim::phone::{Act, Step, When, wav};
use crate::units::Usd;
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Leave the server up afterwards, and say how to call it.
    #[arg(long)]
    stay: bool,
    /// Write what each caller heard into this folder, as WAV files.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

const ORDER: &[u8] = include_bytes!("../../config/scenarios/voices/ask-order.wav");
const MORE: &[u8] = include_bytes!("../../config/scenarios/voices/one-more.wav");
const HOURS: &[u8] = include_bytes!("../../config/scenarios/voices/opening-hours.wav");
const THANKS: &[u8] = include_bytes!("../../config/scenarios/voices/thanks.wav");

/// Two agents beside the ordinary one, each about to reach a cap.
const AGENTS: &str = r#"
[agent.thrifty]
numbers = ["+15005550007"]
models = ["main"]
instructions = "You answer the phone."
greeting = "Greet the caller."
[agent.thrifty.cap]
spend = { warn = 0.055, end = 0.070 }
duration = { warn = "4m", end = "5m" }
[agent.hasty]
numbers = ["+15005550008"]
models = ["main"]
instructions = "You answer the phone."
greeting = "Greet the caller."
[agent.hasty.cap]
spend = { warn = 0.40, end = 0.50 }
duration = { warn = "8s", end = "24s" }
"#;

/// One of the three calls.
struct Scene {
    title: &'static str,
    number: &'static str,
    says: &'static [(When, Option<&'static [u8]>)],
}

/// How long the last fact of a call may lag behind the end of the line.
const LAST_FACT: Duration = Duration::from_secs(2);

const REPLY: When = When::Replies { after_ms: 500 };
const CUT_IN: When = When::Interrupts { after_ms: 900 };

const CALLS: [Scene; 3] = [
    Scene {
        title: "an ordinary call: the caller asks, cuts in, and hangs up",
        number: "+15005550006",
        says: &[
            (REPLY, Some(ORDER)),
            (CUT_IN, Some(MORE)),
            (REPLY, Some(THANKS)),
            (REPLY, None),
        ],
    },
    Scene {
        title: "a talkative caller and a cap on spend: the goodbye was paid for in advance",
        number: "+15005550007",
        says: &[
            (REPLY, Some(HOURS)),
            (REPLY, Some(ORDER)),
            (REPLY, Some(HOURS)),
            (REPLY, Some(ORDER)),
            (REPLY, Some(HOURS)),
            (REPLY, Some(ORDER)),
            (REPLY, Some(HOURS)),
            (REPLY, Some(ORDER)),
        ],
    },
    Scene {
        title: "a cap on duration: warned, wrapped up, and off the line before the time is over",
        number: "+15005550008",
        says: &[
            (REPLY, Some(HOURS)),
            (REPLY, Some(ORDER)),
            (REPLY, Some(HOURS)),
            (REPLY, Some(ORDER)),
        ],
    },
];

/// Runs the command.
pub fn run(own: &DemoArguments) -> ExitCode {
    on_runtime(async {
        tokio::select! {
            done = demonstrate(own) => match done {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => failed(&why),
            },
            // With --stay this is how it ends, politely and from within.
            () = asked_to_stop(), if !own.stay => failed("interrupted"),
        }
    })
}

async fn demonstrate(own: &DemoArguments) -> Result<(), String> {
    let plan = Plan {
        model: "greeting=1200ms goodbye=1800ms latency=200ms".to_string(),
        more: AGENTS.to_string(),
        ..Plan::default()
    };
    let world = World::start(&plan).await?;
    println!(
        "\n  Ringfence, offline: the real server on {}, a simulated phone and a simulated",
        world.server.address
    );
    println!(
        "  gpt-realtime-2.1, which says the caller's own words back. Prices are the real ones.\n"
    );
    let mut ended = Vec::new();
    for (number, call) in CALLS.iter().enumerate() {
        println!("  call {} of {}  {}", number + 1, CALLS.len(), call.title);
        let (summary, heard) = one_call(&world, call).await?;
        if let Some(folder) = &own.out {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            wav::write(&folder.join(format!("heard-{}.wav", number + 1)), &heard)?;
        }
        println!();
        ended.push((summary, call));
    }
    table(&ended);
    println!(
        "  The model's own invoice: ${}. Budgets of the day: ${} used, ${} reserved.\n",
        world.model.total(),
        world.server.budget.spent(),
        world.server.budget.reserved()
    );
    if own.stay {
        println!(
            "  The server stays up. Call it from another terminal:\n\n  {}\n",
            world.how_to_call()
        );
        println!("  Ctrl-C ends it.");
        asked_to_stop().await;
    }
    world.stop().await;
    Ok(())
}

/// The end of a call, and what it cost: what the table is made of.
struct Ended {
    summary: Summary,
    cap: Usd,
}

async fn one_call(world: &World, call: &Scene) -> Result<(Ended, Vec<i16>), String> {
    let mut setup = world.phone();
    setup.to = call.number.to_string();
    for (when, says) in call.says {
        let act = match says {
            Some(bytes) => Act::Say(Arc::from(wav::read_bytes(bytes)?)),
            None => Act::HangUp,
        };
        setup.script.push(Step { when: *when, act });
    }
    let facts = tell(world.server.observer.watch());
    let facts = tokio::spawn(facts);
    let report = world.call(setup).await?;
    // The last fact is written before the line closes; a call that was refused has none.
    let ended = tokio::time::timeout(LAST_FACT, facts).await;
    let ended = ended.ok().and_then(Result::ok).flatten();
    for said in &report.says {
        println!("           the carrier's voice says: {said:?}");
    }
    Ok((ended.ok_or("the call was refused")?, report.heard))
}

/// Prints the facts of a call as they come, until its last one.
async fn tell(mut facts: Receiver<Live>) -> Option<Ended> {
    loop {
        let Live { labels, fact } = match facts.recv().await {
            Ok(live) => live,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return None,
        };
        if let Some(what) = in_words(&fact) {
            let at = fact.at.millis();
            println!(
                "  {:>4}.{}s  {}  {what}",
                at / 1000,
                at % 1000 / 100,
                meter(fact.spent, labels.cap)
            );
        }
        if let What::Ended(summary) = fact.what {
            return Some(Ended {
                summary,
                cap: labels.cap,
            });
        }
    }
}

/// How much of the cap is used, as a bar and as an amount.
fn meter(spent: Usd, cap: Usd) -> String {
    const WIDTH: u64 = 16;
    let full = (spent.nanos().saturating_mul(WIDTH) / cap.nanos().max(1)).min(WIDTH);
    let (done, open): (String, String) = (
        (0..full).map(|_| '█').collect(),
        (full..WIDTH).map(|_| '░').collect(),
    );
    let share = spent.nanos().saturating_mul(100) / cap.nanos().max(1);
    let paint = std::io::stdout().is_terminal();
    let (on, off) = match (paint, share) {
        (false, _) => ("", ""),
        (true, ..60) => ("\x1b[32m", "\x1b[0m"),
        (true, 60..85) => ("\x1b[33m", "\x1b[0m"),
        (true, _) => ("\x1b[31m", "\x1b[0m"),
    };
    format!("{on}{done}{off}{open} ${} {share:>3}%", cents(spent))
}

/// To a hundredth of a cent, which is what an eye can follow.
fn cents(amount: Usd) -> String {
    let tenths = amount.nanos() / 100_000;
    format!("{}.{:04}", tenths / 10_000, tenths % 10_000)
}

fn in_words(fact: &Fact) -> Option<String> {
    Some(match &fact.what {
        What::Answered { .. } => "the phone is answered".to_string(),
        What::FirstWord { after_ms } => {
            format!("the agent's first word, {after_ms} ms after the answer")
        }
        What::Turn(turn) if turn.goodbye => format!("the goodbye, ${}", cents(turn.cost)),
        What::Turn(turn) => format!(
            "turn {}, ${} · ${}/min · {}:{:02} left at that rate",
            turn.turn,
            cents(turn.cost),
            cents(turn.burn_per_minute),
            turn.seconds_left / 60,
            turn.seconds_left % 60
        ),
        What::Minute { minute, cost } => {
            format!("minute {minute} of the line begins, ${}", cents(*cost))
        }
        What::Interrupted {
            heard_ms,
            unheard_ms,
        } => {
            format!("the caller cuts in: {heard_ms} ms were heard, {unheard_ms} ms never will be")
        }
        What::Warned(cause) => format!(
            "the agent is told that the {} runs low",
            cause_in_words(cause.word())
        ),
        What::WrappingUp(_) => "time to say goodbye".to_string(),
        What::Ended(summary) => format!("over: {}", ending_in_words(summary)),
        What::BoundBroken { .. } => "the model charged more than it could have".to_string(),
        What::ModelLost(_) => "the model is lost".to_string(),
        What::Renewed { model, gap_ms, .. } => {
            format!("another session of {model} takes over, after {gap_ms} ms")
        }
        What::Tool { name, outcome, .. } => format!("{name}: {}", outcome.word()),
        What::Transferring { label, .. } => format!("the caller is handed over to {label}"),
        What::NotTransferred => "the caller could not be handed over".to_string(),
        What::Ready
        | What::Asked { .. }
        | What::Listening
        | What::Transcribed { .. }
        | What::Sentence { .. }
        | What::Unreported { .. }
        | What::Condensed { .. }
        | What::Digit
        | What::Overheard
        | What::Held(_)
        | What::Resumed { .. }
        | What::AnsweredBy(_)
        | What::ToolCalled { .. }
        | What::Transferred
        | What::Leg { .. }
        | What::Fee { .. }
        | What::Complained(_) => return None,
    })
}

fn cause_in_words(cause: &str) -> &str {
    match cause {
        "spend" => "money",
        "duration" => "time",
        other => other,
    }
}

fn ending_in_words(summary: &Summary) -> String {
    let Some(ending) = summary.ending else {
        return String::new();
    };
    let words = match ending.word() {
        "caller-hung-up" => "the caller hung up".to_string(),
        "said-goodbye" => "said goodbye".to_string(),
        other => other.to_string(),
    };
    match ending.cause() {
        Some(cause) => format!("{words} ({cause})"),
        None => words,
    }
}

fn table(calls: &[(Ended, &Scene)]) {
    println!("  call  duration  turns   spent      cap        unheard    ending");
    for (number, (Ended { summary, cap }, _)) in calls.iter().enumerate() {
        println!(
            "  {:<4}  {:>4}.{} s  {:>5}   ${}    ${}    ${}    {}",
            number + 1,
            summary.duration_ms / 1000,
            summary.duration_ms % 1000 / 100,
            summary.turns,
            cents(summary.cost.total()),
            cents(*cap),
            cents(summary.unheard),
            ending_in_words(summary)
        );
    }
    println!();
}
