//! A folder with a ledger in it, and the lines of a small call.

use ringfence::call::record::{Cost, Ending, Fact, Summary, Turn, What};
use ringfence::call::rules::Rules;
use ringfence::cli::world::{self, Plan};
use ringfence::ledger::{Books, Entry, Ledger, OpenCall, Opened, Recorder, Settings};
use ringfence::pricing::Usage;
use ringfence::units::{CallId, CallTime, Id, Phone, Usd};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of one test, gone when the test is over.
pub struct Shelf {
    pub folder: PathBuf,
}

impl Shelf {
    pub fn new() -> Shelf {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("shelf-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Shelf { folder }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("ringfence.db")
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.join("ringfence.db.journal")
    }

    pub fn settings(&self) -> Settings {
        Settings { path: self.path() }
    }

    pub async fn open(&self) -> (Ledger, Vec<OpenCall>) {
        Ledger::open(&self.settings()).await.expect("a ledger")
    }

    pub async fn lines(&self, call: &str) -> Vec<Entry> {
        let mut books = Books::open(&self.path()).await.expect("books");
        books.call(call).await.expect("lines")
    }

    /// What somebody with a text editor for databases does.
    pub async fn sql(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
        let options = SqliteConnectOptions::new().filename(self.path());
        let mut connection = options.create_if_missing(true).connect().await?;
        let done = sqlx::raw_sql(sql).execute(&mut connection).await;
        connection.close().await?;
        done.map(|_| ())
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The rules of an ordinary agent.
pub fn rules() -> Arc<Rules> {
    let here = SocketAddr::from(([127, 0, 0, 1], 1));
    let settings = world::settings(&Plan::default(), here, here, "http://127.0.0.1:1");
    settings.expect("settings").agents[0].models[0]
        .rules
        .clone()
}

pub fn opened(call: &str) -> Opened {
    Opened {
        call: CallId::from(call),
        carrier: "twilio",
        carrier_call: Id::from(format!("CA-{call}").as_str()),
        agent: "desk".into(),
        model: "main".into(),
        model_id: "gpt-realtime-2.1".to_string(),
        from: Phone::from("+14155550171"),
        to: Phone::from("+15005550006"),
        account: "0011223344556677".into(),
        rules: rules(),
        others: Vec::new(),
        granted: Usd::from_micros(125_000),
    }
}

/// What a small call spends, line by line.
pub struct Call {
    pub recorder: Recorder,
    rules: Arc<Rules>,
    cost: Cost,
    now_ms: u64,
}

impl Call {
    pub async fn begin(ledger: &Ledger, call: &str) -> Call {
        Call {
            recorder: ledger.begin(&opened(call)).await.expect("a call"),
            rules: rules(),
            cost: Cost::default(),
            now_ms: 0,
        }
    }

    pub fn spent(&self) -> Usd {
        self.cost.total()
    }

    fn record(&mut self, reserved: Usd, what: What) {
        self.recorder.record(&Fact {
            at: CallTime::from_millis(self.now_ms),
            spent: self.cost.total(),
            reserved,
            what,
        });
        self.now_ms += 1_000;
    }

    /// A minute, the stream, and an answer that is asked for and not reported.
    pub fn asks(&mut self) -> Usd {
        let cost = self.rules.minute;
        self.cost.carrier = cost;
        self.record(Usd::ZERO, What::Minute { minute: 1, cost });
        self.record(Usd::ZERO, What::Answered { limit_s: 310 });
        let bound = Usd::from_micros(40_000);
        let asked = What::Asked {
            nonce: 1,
            max_output_tokens: 500,
            bound,
        };
        self.record(bound, asked);
        bound
    }

    /// More of the caller is listened to.
    pub fn listens(&mut self) {
        self.record(Usd::from_micros(1_000), What::Listening);
    }

    /// The answer's report.
    pub fn hears(&mut self) {
        let usage = Usage {
            text_in: 63,
            audio_in: 124,
            text_out: 17,
            audio_out: 98,
            ..Usage::default()
        };
        let cost = self.rules.model.cost(&usage);
        self.cost.model = cost;
        let turn = Turn {
            turn: 1,
            nonce: Some(1),
            response: Id::from("resp_1"),
            usage: Some(usage),
            cost,
            goodbye: false,
            burn_per_minute: cost,
            seconds_left: 100,
        };
        self.record(Usd::ZERO, What::Turn(turn));
    }

    pub fn ends(&mut self) {
        let summary = Summary {
            ending: Some(Ending::CallerHungUp),
            answered: true,
            duration_ms: self.now_ms,
            minutes: 1,
            turns: 1,
            cost: self.cost,
            ..Summary::default()
        };
        self.record(Usd::ZERO, What::Ended(summary));
    }

    /// All of the above.
    pub async fn whole(ledger: &Ledger, call: &str) -> Usd {
        let mut it = Call::begin(ledger, call).await;
        it.asks();
        it.hears();
        it.ends();
        ledger.flush().await.expect("on disk");
        it.spent()
    }
}
