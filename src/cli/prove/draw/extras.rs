//! What an agent has besides models, drawn by lot: functions, somebody to hand the caller over to, an ear of its own.

use crate::admission::Agent;
use crate::call::rules::{Abilities, Destination, Renewal, Rules, TransferCap};
use crate::call::tools::{self, Tool};
use crate::cli::prove::hazards::{Doors, Hazard};
use crate::cli::prove::stage::{Beside, Listens};
use crate::realtime::{self, Session};
use crate::sim::dice::Dice;
use crate::units::{Phone, Usd};
use serde_json::json;
use std::sync::Arc;

/// What the provider wraps each tool into, in bytes: its type and the names of its keys.
const WRAPPED: usize = 80;

/// Functions of the agent's own.
const FUNCTIONS: [&str; 2] = ["look_up", "order"];

/// Draws what is beside the call.
pub fn beside(hazard: &Hazard, dice: &mut Dice) -> Beside {
    let mut abilities = Abilities::default();
    if hazard.may.call {
        let tool = |name: &&str| Tool {
            name: (*name).to_string(),
            price: Usd::from_micros(dice.up_to(20_000) >> dice.up_to(8)),
            timeout_ms: 1_000 + dice.up_to(9_000),
        };
        abilities.tools = FUNCTIONS.iter().map(tool).collect();
        abilities.end_call = true;
        abilities.send_digits = true;
        abilities.most_calls = 1 + u32::try_from(dice.up_to(40)).unwrap_or(0);
    }
    if hazard.may.transfer {
        abilities.is_transfer_offered = true;
        abilities.destinations = vec![Destination {
            label: "desk".into(),
            to: Phone::from("+15005550006"),
            minute: Usd::from_micros(dice.up_to(30_000)),
        }];
        abilities.transfer = TransferCap {
            minutes: 1 + dice.up_to(9),
            usd: Usd::from_micros(dice.up_to(500_000)),
        };
        let sentences = ["", "One moment, you are being connected."];
        abilities.transfer_sentence = sentences[super::pick(dice, sentences.len())].into();
        abilities.fallback = hazard.may.fall_back.then(|| "desk".into());
    }
    Beside {
        abilities,
        ear: hazard.ear,
        seed: 0,
    }
}

/// Draws when a session is replaced although its provider would let it live.
pub fn renewal(hazard: &Hazard, dice: &mut Dice) -> Renewal {
    let ages = hazard.doors == Doors::Aging && dice.up_to(1) == 0;
    Renewal {
        after_ms: ages.then(|| 10_000 + dice.up_to(40_000)),
        max_tokens: 200 + dice.up_to(2_000),
    }
}

/// The agent with what is beside it.
pub fn able(agent: &Agent, beside: &Beside, renewal: Renewal) -> Arc<Agent> {
    let mut agent = agent.clone();
    for model in &mut agent.models {
        let mut rules = Rules::clone(&model.rules);
        let mut session = Session::clone(&model.session);
        rules.abilities = beside.abilities.clone();
        rules.renewal = renewal;
        rules.manner.confirm = beside.ear != Listens::Not;
        rules.manner.hold = beside.ear == Listens::Holds;
        if rules.manner.confirm {
            rules.provider_interrupts = false;
            session.turn_detection.interrupt_response = false;
        }
        session.tools = tools::built_in(&beside.abilities);
        let own = beside.abilities.tools.iter();
        session.tools.extend(own.map(|tool| realtime::Tool {
            name: tool.name.clone(),
            description: "Tells what is known about an order.".into(),
            parameters: json!({"type": "object", "properties": {"number": {"type": "string"}}}),
        }));
        let weight = |tool: &realtime::Tool| {
            let parameters = tool.parameters.to_string();
            tool.name.len() + tool.description.len() + parameters.len() + WRAPPED
        };
        rules.settings_tokens += session.tools.iter().map(weight).sum::<usize>() as u64;
        model.smallest_cap = rules.smallest_cap();
        (model.rules, model.session) = (Arc::new(rules), Arc::new(session));
    }
    Arc::new(agent)
}
