//! One fact in: a log line, a metric and a live update out.
//!
//! Whoever asks what a call did, whether by grep, by graph or by looking at it live, reads the same fact written in this one place.
//! Log lines carry no speech, no key and no whole phone number, because none reaches this room.

/// The fields every line about a call has, then those of the fact.
macro_rules! about_call {
    ($level:ident, $labels:expr, $fact:expr, $event:literal $(, $($field:tt)+)?) => {
        tracing::$level!(
            event = $event,
            call = $labels.call.as_str(),
            carrier_call = $labels.carrier_call.as_str(),
            agent = &*$labels.agent,
            at_ms = $fact.at.millis(),
            spent_usd = %$fact.spent,
            cap_usd = %$labels.cap,
            left_usd = %$labels.cap.less($fact.spent)
            $(, $($field)+)?
        )
    };
}

mod acts;
pub mod log;
pub mod path;

use crate::call::record::{Ending, Fact, Summary, Turn, What};
use crate::units::{CallId, Id, Usd};
use metrics::{counter, gauge, histogram};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Live updates kept for a reader who is slow; a slower one misses some.
const LIVE_BACKLOG: usize = 1024;

/// What every line about a call carries.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Our name for the call.
    pub call: CallId,
    /// The carrier's name for it.
    pub carrier_call: Id,
    /// Who answers it.
    pub agent: Arc<str>,
    /// What it may cost.
    pub cap: Usd,
}

/// A fact and the call it is about, for those who watch.
#[derive(Clone, Debug)]
pub struct Live {
    /// The call.
    pub labels: Arc<Labels>,
    /// What happened.
    pub fact: Fact,
}

/// Where facts go.
#[derive(Clone, Debug)]
pub struct Observer {
    live: broadcast::Sender<Live>,
}

impl Default for Observer {
    fn default() -> Self {
        Observer {
            live: broadcast::Sender::new(LIVE_BACKLOG),
        }
    }
}

impl Observer {
    /// Everything that happens from now on.
    pub fn watch(&self) -> broadcast::Receiver<Live> {
        self.live.subscribe()
    }

    /// Writes a fact down.
    pub fn record(&self, labels: &Arc<Labels>, fact: Fact) {
        line(labels, &fact);
        count(labels, &fact);
        // Nobody watching is fine.
        let _ = self.live.send(Live {
            labels: labels.clone(),
            fact,
        });
    }
}

fn line(labels: &Labels, fact: &Fact) {
    match &fact.what {
        What::Answered { limit_s } => about_call!(info, labels, fact, "call.answered", limit_s),
        What::Ready => about_call!(info, labels, fact, "call.ready"),
        What::FirstWord { after_ms } => {
            about_call!(info, labels, fact, "call.first_word", after_ms)
        }
        What::Asked {
            nonce,
            max_output_tokens,
            bound,
        } => about_call!(
            debug, labels, fact, "call.asked", nonce, max_output_tokens, bound_usd = %bound
        ),
        What::Listening => {
            about_call!(debug, labels, fact, "call.listening", reserved_usd = %fact.reserved)
        }
        What::Turn(turn) => line_of_turn(labels, fact, turn),
        What::Transcribed { cost, .. } => {
            about_call!(debug, labels, fact, "call.transcribed", cost_usd = %cost)
        }
        What::Minute { minute, cost } => {
            about_call!(info, labels, fact, "call.minute", minute, cost_usd = %cost)
        }
        What::Sentence { cost } => {
            about_call!(info, labels, fact, "call.sentence", cost_usd = %cost)
        }
        What::Unreported {
            model,
            transcription,
        } => about_call!(
            info, labels, fact, "call.unreported", model_usd = %model, transcription_usd = %transcription
        ),
        What::Warned(cause) => about_call!(info, labels, fact, "call.warned", cause = cause.word()),
        What::Interrupted {
            heard_ms,
            unheard_ms,
        } => {
            about_call!(info, labels, fact, "call.interrupted", heard_ms, unheard_ms)
        }
        What::Condensed { items } => about_call!(info, labels, fact, "call.condensed", items),
        What::Digit => about_call!(info, labels, fact, "call.digit"),
        What::Overheard
        | What::Held(_)
        | What::Resumed { .. }
        | What::AnsweredBy(_)
        | What::Fee { .. }
        | What::Renewed { .. }
        | What::ToolCalled { .. }
        | What::Tool { .. }
        | What::Transferring { .. }
        | What::Transferred
        | What::NotTransferred
        | What::Leg { .. } => acts::line(labels, fact),
        What::WrappingUp(cause) => {
            about_call!(info, labels, fact, "call.wrapping_up", cause = cause.word())
        }
        What::BoundBroken { cost, bound } => about_call!(
            error, labels, fact, "call.bound_broken", cost_usd = %cost, bound_usd = %bound,
            help = "the provider charged what it could not have charged by its own rules; the call is ended. \
                    Compare its model's price and limits with config/prices.toml"
        ),
        What::Complained(code) => {
            about_call!(warn, labels, fact, "call.complained", code = code.as_str())
        }
        What::ModelLost(loss) => line_of_loss(labels, fact, loss),
        What::Ended(summary) => line_of_end(labels, fact, summary),
    }
}

fn line_of_turn(labels: &Labels, fact: &Fact, turn: &Turn) {
    let usage = turn.usage.unwrap_or_default();
    about_call!(
        info, labels, fact, "call.turn",
        turn = turn.turn,
        turn_usd = %turn.cost,
        burn_usd_per_min = %turn.burn_per_minute,
        seconds_left = turn.seconds_left,
        goodbye = turn.goodbye,
        reported = turn.usage.is_some(),
        text_in = usage.text_in,
        audio_in = usage.audio_in,
        cached_in = usage.cached_text + usage.cached_audio + usage.cached_image,
        text_out = usage.text_out,
        audio_out = usage.audio_out
    );
}

fn line_of_loss(labels: &Labels, fact: &Fact, loss: &crate::realtime::Loss) {
    use crate::realtime::Loss;
    let (reason, code, help) = match loss {
        Loss::Unreachable(what) => (
            "unreachable",
            what.as_str(),
            "is the model's url in [model.*] right, and can this machine reach it?",
        ),
        Loss::Refused(code) => ("refused", code.as_str(), help_for(code.as_str())),
        Loss::Expired => (
            "expired",
            "",
            "the provider's session reached its maximum age",
        ),
        Loss::Dropped => ("dropped", "", "the provider closed the connection"),
        Loss::Slow => (
            "slow",
            "",
            "the provider reads slower than the caller speaks",
        ),
        Loss::Garbled => (
            "garbled",
            "",
            "what answers at the model's url does not speak this dialect",
        ),
    };
    about_call!(warn, labels, fact, "call.model_lost", reason, code, help);
}

/// What to mend, for the provider's codes that somebody must mend.
fn help_for(code: &str) -> &'static str {
    match code {
        "invalid_api_key" | "http_401" => {
            "check the key that api_key_env or api_key_file of the model names"
        }
        "http_403" | "account_deactivated" => "the account may not use this model",
        "model_not_found" | "invalid_model" | "http_400" => "check `model` in [model.*]",
        "insufficient_quota" | "billing_hard_limit_reached" | "credit_balance_exhausted" => {
            "the account with the provider has no money left"
        }
        "beta_api_shape_disabled" => {
            "this provider speaks the GA dialect only: dialect = \"openai\""
        }
        code if code.starts_with("settings.") => {
            "the session did not take this setting over, so no cap would hold; see docs/money.md"
        }
        _ => "the provider's own status page or documentation may know this code",
    }
}

fn line_of_end(labels: &Labels, fact: &Fact, summary: &Summary) {
    let Some(ending) = summary.ending else { return };
    about_call!(
        info, labels, fact, "call.ended",
        ending = ending.word(),
        cause = ending.cause().unwrap_or(""),
        goodbye = summary.goodbye.word(),
        duration_s = %format_args!("{}.{:03}", summary.duration_ms / 1000, summary.duration_ms % 1000),
        billed_minutes = summary.minutes,
        turns = summary.turns,
        interruptions = summary.interruptions,
        model_usd = %summary.cost.model,
        carrier_usd = %summary.cost.carrier,
        transcription_usd = %summary.cost.transcription,
        tools_usd = %summary.cost.tools,
        unheard_usd = %summary.unheard
    );
}

/// Dollars for a metric: the one place where money becomes a float, after everything that matters was computed.
pub fn dollars(amount: Usd) -> f64 {
    amount.nanos() as f64 / 1e9
}

fn count(labels: &Labels, fact: &Fact) {
    let agent = labels.agent.to_string();
    match &fact.what {
        What::Answered { .. } => gauge!("ringfence_calls_active", "agent" => agent).increment(1.0),
        What::FirstWord { after_ms } => {
            histogram!("ringfence_first_audio_seconds").record(*after_ms as f64 / 1000.0);
        }
        What::Renewed { why, gap_ms, .. } => acts::count_renewal(*why, *gap_ms),
        What::Tool { name, outcome, .. } => acts::count_tool(name, *outcome),
        What::Resumed { held_ms, .. } => {
            counter!("ringfence_held_seconds_total").increment(held_ms / 1000);
        }
        What::Interrupted { .. } => counter!("ringfence_interruptions_total").increment(1),
        What::Complained(code) => {
            counter!("ringfence_model_errors_total", "code" => code.as_str().to_string())
                .increment(1);
        }
        What::BoundBroken { .. } => counter!("ringfence_bound_broken_total").increment(1),
        What::Ended(summary) => count_end(agent, summary),
        What::Ready
        | What::Asked { .. }
        | What::Listening
        | What::Turn(_)
        | What::Transcribed { .. }
        | What::Fee { .. }
        | What::Minute { .. }
        | What::Sentence { .. }
        | What::Unreported { .. }
        | What::Warned(_)
        | What::Condensed { .. }
        | What::Digit
        | What::Overheard
        | What::Held(_)
        | What::AnsweredBy(_)
        | What::ToolCalled { .. }
        | What::Transferring { .. }
        | What::Transferred
        | What::NotTransferred
        | What::Leg { .. }
        | What::WrappingUp(_)
        | What::ModelLost(_) => {}
    }
}

fn count_end(agent: String, summary: &Summary) {
    let ending = summary.ending.map_or("", |ending: Ending| ending.word());
    if summary.answered {
        gauge!("ringfence_calls_active", "agent" => agent.clone()).decrement(1.0);
    }
    counter!("ringfence_calls_total", "agent" => agent.clone(), "ending" => ending).increment(1);
    let cost = summary.cost;
    for (part, amount) in [
        ("model", cost.model),
        ("carrier", cost.carrier),
        ("transcription", cost.transcription),
        ("tools", cost.tools),
    ] {
        // A counter of whole units cannot hold cents; a gauge that only grows can.
        gauge!("ringfence_spend_usd_total", "agent" => agent.clone(), "part" => part)
            .increment(dollars(amount));
    }
}
