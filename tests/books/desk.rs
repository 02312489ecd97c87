//! A ledger with a day's calls in it: one of every kind that a reader meets.

use ringfence::call::record::{Cause, Cost, Ending, Fact, Goodbye, Refusal, Summary, Turn, What};
use ringfence::call::rules::Rules;
use ringfence::cli::world::{self, Plan};
use ringfence::ledger::{CarrierRecord, Ledger, Opened, Recorder, Settings, Turned};
use ringfence::pricing::{TranscriptionUsage, Usage};
use ringfence::units::{CallId, CallTime, Id, Phone, Usd};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder with a ledger in it, gone when the test is over.
pub struct Desk {
    pub folder: PathBuf,
}

impl Desk {
    pub fn new() -> Desk {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("desk-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Desk { folder }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("ringfence.db")
    }

    pub async fn open(&self) -> Ledger {
        let settings = Settings { path: self.path() };
        let (ledger, lost) = Ledger::open(&settings).await.expect("a ledger");
        for call in lost {
            ledger.close_lost(&call, None).await.expect("closed");
        }
        ledger
    }

    /// One call of every kind; the last one is still on the line, for the ledger stays open.
    pub async fn day(&self) -> Ledger {
        let ledger = self.open().await;
        talks(&ledger, "rf-talk").await;
        begins(&ledger, "rf-dead").await;
        ledger.flush().await.expect("on disk");
        ledger.close().await;
        let ledger = self.open().await;
        says_goodbye(&ledger, "rf-dear").await;
        later().await;
        ledger.refused(&Turned {
            call: CallId::from("rf-late"),
            carrier: "twilio",
            carrier_call: Id::from("CA-rf-late"),
            agent: Some("desk".into()),
            from: Phone::from("+14155550199"),
            to: Phone::from("+15005550006"),
            refusal: Refusal::OverBudget,
        });
        begins(&ledger, "rf-live").await;
        ledger.flush().await.expect("on disk");
        ledger
    }

    /// Runs the installed program on this ledger: what it ends with, what it prints, what it complains of.
    pub fn run(&self, words: &[&str]) -> (i32, String, String) {
        let path = self.path();
        let path = path.to_str().expect("a path");
        program(&[words, &["--ledger", path]].concat(), &[])
    }

    /// With dates, times of day and the folder's name taken out.
    pub fn timeless(&self, text: &str) -> String {
        let text = text.replace(self.folder.to_str().expect("a path"), "~");
        let mut shown = String::new();
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let found = ["YYYY-MM-DD", "hh:mm:ss.mmmZ", "hh:mm:ss", "hh:mm"]
                .into_iter()
                .find(|shape| is_shaped(rest, shape));
            let taken = found.map_or(first.len_utf8(), str::len);
            shown += found.unwrap_or(&rest[..taken]);
            rest = &rest[taken..];
        }
        shown
    }

    /// A file beside the ledger.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("a path").to_string()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs the installed program with this environment and no other.
pub fn program(words: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(words)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (
        output.status.code().expect("an exit code"),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Whether a text begins with digits where this shape has letters.
fn is_shaped(text: &str, shape: &str) -> bool {
    text.len() >= shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, letter)| {
            if letter.is_ascii_alphabetic() && letter != b'Z' {
                byte.is_ascii_digit()
            } else {
                byte == letter
            }
        })
}

/// Waits for the next millisecond, so that calls have an order.
async fn later() {
    let now = || jiff::Timestamp::now().as_millisecond();
    let before = now();
    while now() == before {
        tokio::task::yield_now().await;
    }
}

fn rules() -> Arc<Rules> {
    let here = SocketAddr::from(([127, 0, 0, 1], 1));
    let settings = world::settings(&Plan::default(), here, here, "http://127.0.0.1:1");
    settings.expect("settings").agents[0].models[0]
        .rules
        .clone()
}

/// A call as its own loop records it.
struct Call {
    recorder: Recorder,
    rules: Arc<Rules>,
    name: String,
    cost: Cost,
    now_ms: u64,
    minutes: u64,
    turns: u32,
}

impl Call {
    async fn begin(ledger: &Ledger, name: &str) -> Call {
        later().await;
        let rules = rules();
        let opened = Opened {
            call: CallId::from(name),
            carrier: "twilio",
            carrier_call: Id::from(format!("CA-{name}").as_str()),
            agent: "desk".into(),
            model: "main".into(),
            model_id: "gpt-realtime-2.1".to_string(),
            from: Phone::from("+14155550171"),
            to: Phone::from("+15005550006"),
            account: "0011223344556677".into(),
            rules: rules.clone(),
            others: Vec::new(),
            granted: Usd::from_micros(125_000),
        };
        Call {
            recorder: ledger.begin(&opened).await.expect("a call"),
            rules,
            name: name.to_string(),
            cost: Cost::default(),
            now_ms: 0,
            minutes: 0,
            turns: 0,
        }
    }

    fn says(&mut self, after_ms: u64, reserved: Usd, what: What) {
        self.now_ms += after_ms;
        self.recorder.record(&Fact {
            at: CallTime::from_millis(self.now_ms),
            spent: self.cost.total(),
            reserved,
            what,
        });
    }

    fn minute(&mut self, after_ms: u64) {
        let cost = self.rules.minute;
        self.cost.carrier = self.cost.carrier.plus(cost);
        self.minutes += 1;
        let minute = self.minutes;
        self.says(after_ms, Usd::ZERO, What::Minute { minute, cost });
    }

    fn asks(&mut self, after_ms: u64) -> Usd {
        let bound = Usd::from_micros(40_000);
        let asked = What::Asked {
            nonce: u64::from(self.turns) + 1,
            max_output_tokens: 500,
            bound,
        };
        self.says(after_ms, bound, asked);
        bound
    }

    /// An answer that is asked for and comes.
    fn answers(&mut self, audio_in: u64, audio_out: u64, goodbye: bool) {
        self.asks(1_200);
        let usage = Usage {
            text_in: 63,
            audio_in,
            text_out: 17,
            audio_out,
            ..Usage::default()
        };
        let cost = self.rules.model.cost(&usage);
        self.cost.model = self.cost.model.plus(cost);
        self.turns += 1;
        let turn = Turn {
            turn: self.turns,
            nonce: Some(u64::from(self.turns)),
            response: Id::from(format!("resp_{}_{}", &self.name[3..], self.turns).as_str()),
            usage: Some(usage),
            cost,
            goodbye,
            burn_per_minute: cost,
            seconds_left: 100,
        };
        self.says(2_350, Usd::ZERO, What::Turn(turn));
    }

    fn is_transcribed(&mut self) {
        let usage = TranscriptionUsage::Tokens {
            text_in: 0,
            audio_in: 34,
            text_out: 9,
        };
        let price = self.rules.transcription.expect("a price");
        let cost = price.cost(&usage);
        self.cost.transcription = self.cost.transcription.plus(cost);
        let usage = Some(usage);
        self.says(150, Usd::ZERO, What::Transcribed { usage, cost });
    }

    fn ends(&mut self, ending: Ending, goodbye: Goodbye, unheard: Usd) {
        self.now_ms += 900;
        let summary = Summary {
            ending: Some(ending),
            answered: true,
            duration_ms: self.now_ms,
            minutes: self.minutes,
            turns: self.turns,
            goodbye,
            cost: self.cost,
            unheard,
            ..Summary::default()
        };
        self.says(0, Usd::ZERO, What::Ended(summary));
    }
}

/// Two answers, the second one cut into; then the carrier's record.
async fn talks(ledger: &Ledger, name: &str) {
    let mut call = Call::begin(ledger, name).await;
    call.minute(0);
    call.says(40, Usd::ZERO, What::Answered { limit_s: 310 });
    call.answers(0, 65, false);
    call.is_transcribed();
    call.answers(124, 98, false);
    let cut = What::Interrupted {
        heard_ms: 3_400,
        unheard_ms: 1_500,
    };
    call.says(400, Usd::ZERO, cut);
    call.ends(Ending::CallerHungUp, Goodbye::None, Usd::from_micros(1_920));
    ledger.flush().await.expect("on disk");
    let record = CarrierRecord {
        duration_s: Some(9),
        minutes: Some(1),
        price: Some(Usd::from_micros(8_500)),
    };
    let added = ledger.carrier_record(&CallId::from(name), &record).await;
    assert_eq!(added, Ok(true));
}

/// Two minutes, and a goodbye when the money ran low.
async fn says_goodbye(ledger: &Ledger, name: &str) {
    let mut call = Call::begin(ledger, name).await;
    call.minute(0);
    call.says(35, Usd::ZERO, What::Answered { limit_s: 310 });
    call.answers(0, 65, false);
    call.minute(57_000);
    call.answers(700, 160, false);
    call.says(10, Usd::ZERO, What::Warned(Cause::Spend));
    call.says(10, Usd::ZERO, What::WrappingUp(Cause::Spend));
    call.answers(720, 40, true);
    let ending = Ending::SaidGoodbye(Cause::Spend);
    call.ends(ending, Goodbye::Model, Usd::ZERO);
}

/// A call that is asked something and not over.
async fn begins(ledger: &Ledger, name: &str) {
    let mut call = Call::begin(ledger, name).await;
    call.minute(0);
    call.says(38, Usd::ZERO, What::Answered { limit_s: 310 });
    call.answers(0, 65, false);
    call.asks(2_000);
}
