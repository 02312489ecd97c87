//! Log lines: one JSON object a line, or one line a person can read.
//!
//! The usual formatters print a number they do not know as a string, and money as a float. Here a field whose name ends in `_usd`, or
//! in `_usd_per_min`, or in `_s`, is printed as the exact decimal it was given as, so that summing a log gives the same cents as summing
//! the ledger.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{self, Attributes};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Lines that wait for a slow reader of standard output. When as many wait, further ones are counted and lost: a log that cannot
/// be written must not stop a call.
const MOST_WAITING: usize = 16_384;

/// Sends the log to standard output. `RUST_LOG` chooses what is told; `info` unless it says otherwise.
///
/// The first one to install a log wins; in tests there may be several.
pub fn install(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // The client of servers of tools would quote what they answer.
    let filter = match "rmcp=off".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    let lines = Lines {
        format,
        lost: AtomicU64::new(0),
    };
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
}

/// Waits until everything logged so far is written, but not for ever: the last thing a process does.
pub fn flush() {
    let (done, wait) = mpsc::channel();
    if writer().try_send(Job::Flush(done)).is_ok() {
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }
}

enum Job {
    Line(String),
    Flush(mpsc::Sender<()>),
}

/// The thread that writes: standard output may block, and nobody who carries a call may.
fn writer() -> &'static SyncSender<Job> {
    static WRITER: OnceLock<SyncSender<Job>> = OnceLock::new();
    WRITER.get_or_init(|| {
        let (jobs, work) = mpsc::sync_channel(MOST_WAITING);
        std::thread::spawn(move || {
            let mut out = std::io::stdout();
            for job in work {
                // A reader that has gone away is no reason to stop.
                let _ = match job {
                    Job::Line(line) => out.write_all(line.as_bytes()),
                    Job::Flush(done) => out.flush().map(|()| drop(done)),
                };
            }
        });
        jobs
    })
}

struct Lines {
    format: Format,
    lost: AtomicU64,
}

/// The fields of a span, written as lines of this format write them.
struct SpanFields(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = String::new();
        match self.format {
            Format::Json => attributes.record(&mut Json(&mut fields)),
            Format::Text => attributes.record(&mut Text(&mut fields)),
        }
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let now = jiff::Timestamp::now();
        let level = *event.metadata().level();
        let around = around(event, &context);
        let mut line = match self.format {
            Format::Json => json(&now, level, &around, |visit| event.record(visit)),
            Format::Text => text(&now, level, &around, |visit| event.record(visit)),
        };
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            line = match self.format {
                Format::Json => format!(
                    "{{\"time\":\"{now:.3}\",\"level\":\"warn\",\"event\":\"log.lost\",\"lines\":{lost}}}\n"
                ),
                Format::Text => format!("{now:.3}  WARN log.lost lines={lost}\n"),
            } + &line;
        }
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            writer().try_send(Job::Line(line))
        {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

/// The fields of the span the event happened in, unless it names the call itself.
fn around<S: Subscriber + for<'a> LookupSpan<'a>>(
    event: &Event<'_>,
    context: &Context<'_, S>,
) -> String {
    if event.fields().any(|field| field.name() == "call") {
        return String::new();
    }
    let Some(scope) = context.event_scope(event) else {
        return String::new();
    };
    let fields = scope.from_root().filter_map(|span| {
        let extensions = span.extensions();
        extensions
            .get::<SpanFields>()
            .map(|fields| fields.0.clone())
    });
    fields.collect()
}

fn json(
    now: &jiff::Timestamp,
    level: Level,
    around: &str,
    record: impl FnOnce(&mut dyn Visit),
) -> String {
    let mut line = format!(
        "{{\"time\":\"{now:.3}\",\"level\":\"{}\"",
        level.as_str().to_lowercase()
    );
    record(&mut Json(&mut line));
    line.push_str(around);
    line.push_str("}\n");
    line
}

fn text(
    now: &jiff::Timestamp,
    level: Level,
    around: &str,
    record: impl FnOnce(&mut dyn Visit),
) -> String {
    let mut line = format!("{now:.3} {level:>5}");
    record(&mut Text(&mut line));
    line.push_str(around);
    line.push('\n');
    line
}

/// Whether a field holds a decimal that is to be printed as it stands.
fn is_decimal(name: &str, value: &str) -> bool {
    let value = value.strip_prefix('-').unwrap_or(value);
    (name.ends_with("_usd") || name.ends_with("_per_min") || name.ends_with("_s"))
        && value.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && value.starts_with(|c: char| c.is_ascii_digit())
}

struct Json<'a>(&'a mut String);

impl Json<'_> {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let _ = write!(self.0, ",\"{}\":{value}", field.name());
    }

    fn put_text(&mut self, field: &Field, value: &str) {
        match serde_json::to_string(value) {
            Ok(quoted) => self.put(field, format_args!("{quoted}")),
            Err(_) => self.put(field, format_args!("null")),
        }
    }
}

impl Visit for Json<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if is_decimal(field.name(), &value) {
            self.put(field, format_args!("{value}"));
        } else {
            self.put_text(field, &value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, format_args!("{value}"));
    }
}

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "event" | "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "event" | "message" => write!(self.0, " {value}"),
            name if value.contains(char::is_whitespace) => write!(self.0, " {name}={value:?}"),
            name => write!(self.0, " {name}={value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Usd;
    use std::sync::{Arc, Mutex};

    /// Collects lines instead of printing them.
    struct Kept(Format, Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let now = jiff::Timestamp::UNIX_EPOCH;
            let level = *event.metadata().level();
            let line = match self.0 {
                Format::Json => json(&now, level, "", |visit| event.record(visit)),
                Format::Text => text(&now, level, "", |visit| event.record(visit)),
            };
            self.1.lock().unwrap().push_str(&line);
        }
    }

    fn lines(format: Format) -> String {
        let kept = Arc::new(Mutex::new(String::new()));
        let subscriber = tracing_subscriber::registry().with(Kept(format, kept.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let spent = Usd::from_nanos(14_261_600);
            tracing::info!(event = "call.turn", call = "rf-1", turn = 2, spent_usd = %spent, ok = true);
            tracing::warn!(
                event = "odd",
                what = "a \"quoted\" word\n",
                left_usd = "unknown"
            );
        });
        kept.lock().unwrap().clone()
    }

    #[test]
    fn money_is_a_json_number_printed_from_the_integer() {
        expect_test::expect![[r#"
            {"time":"1970-01-01T00:00:00.000Z","level":"info","event":"call.turn","call":"rf-1","turn":2,"spent_usd":0.0142616,"ok":true}
            {"time":"1970-01-01T00:00:00.000Z","level":"warn","event":"odd","what":"a \"quoted\" word\n","left_usd":"unknown"}
        "#]]
        .assert_eq(&lines(Format::Json));
        for line in lines(Format::Json).lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }

    #[test]
    fn a_person_reads_the_event_first() {
        expect_test::expect![[r#"
            1970-01-01T00:00:00.000Z  INFO call.turn call=rf-1 turn=2 spent_usd=0.0142616 ok=true
            1970-01-01T00:00:00.000Z  WARN odd what="a \"quoted\" word\n" left_usd=unknown
        "#]]
        .assert_eq(&lines(Format::Text));
    }
}
