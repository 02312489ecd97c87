//! Lines and metrics about what a call does besides talking: tools, transfers, other sessions, an ear of its own.

use super::Labels;
use crate::call::record::{Fact, What, Why};
use crate::call::tools::Outcome;
use metrics::{counter, histogram};

pub(super) fn line(labels: &Labels, fact: &Fact) {
    match &fact.what {
        What::Fee { cost } => about_call!(info, labels, fact, "call.fee", cost_usd = %cost),
        What::Overheard => about_call!(info, labels, fact, "call.overheard"),
        What::Held(hold) => about_call!(info, labels, fact, "call.held", hold = hold.word()),
        What::Resumed { held_ms, turns } => about_call!(
            info, labels, fact, "call.resumed",
            held_s = %format_args!("{}.{:03}", held_ms / 1000, held_ms % 1000),
            turns_spared = turns
        ),
        What::AnsweredBy(answerer) => {
            about_call!(
                info,
                labels,
                fact,
                "call.answered_by",
                answerer = answerer.word()
            );
        }
        What::Renewed {
            why,
            model,
            replayed_bytes,
            gap_ms,
        } => about_call!(
            info,
            labels,
            fact,
            "call.renewed",
            why = why.word(),
            model = &**model,
            replayed_bytes,
            gap_ms
        ),
        What::ToolCalled { name, bound } => about_call!(
            debug, labels, fact, "call.tool_called", tool = &**name, bound_usd = %bound
        ),
        What::Tool {
            name,
            outcome,
            cost,
            took_ms,
        } => about_call!(
            info, labels, fact, "call.tool",
            tool = &**name, outcome = outcome.word(), took_ms, cost_usd = %cost
        ),
        What::Transferring {
            label,
            limit_s,
            bound,
        } => about_call!(
            info, labels, fact, "call.transferring", to = &**label, limit_s, bound_usd = %bound
        ),
        What::Transferred => about_call!(info, labels, fact, "call.transferred"),
        What::NotTransferred => about_call!(
            warn,
            labels,
            fact,
            "call.not_transferred",
            help =
                "the carrier refused to dial, or the budgets had no money for it; see cap.transfer"
        ),
        What::Leg { talked_s, cost } => about_call!(
            info, labels, fact, "call.leg",
            told = talked_s.is_some(), talked_s = talked_s.unwrap_or_default(), cost_usd = %cost
        ),
        // All others are about the talk itself.
        _ => {}
    }
}

pub(super) fn count_renewal(why: Why, gap_ms: u64) {
    counter!("ringfence_sessions_replaced_total", "why" => why.word()).increment(1);
    if why == Why::Lost {
        histogram!("ringfence_model_gap_seconds").record(gap_ms as f64 / 1000.0);
    }
}

pub(super) fn count_tool(name: &str, outcome: Outcome) {
    let labels = [
        ("tool", name.to_string()),
        ("outcome", outcome.word().to_string()),
    ];
    counter!("ringfence_tool_calls_total", &labels).increment(1);
}
