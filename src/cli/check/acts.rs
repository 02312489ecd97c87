//! What an agent may do besides talking, and how it listens, as `check` tells it.

use crate::admission::Agent;
use crate::call::rules::{Abilities, OnMachine, Rules};
use std::io::{self, Write};

/// A line for each thing that is not as it is without any settings.
pub(super) fn describe(agent: &Agent, rules: &Rules, out: &mut dyn Write) -> io::Result<()> {
    let Rules {
        abilities, manner, ..
    } = rules;
    if abilities.is_any() || !agent.tools.is_empty() {
        let may = may(agent, abilities).join(", ");
        let most = abilities.most_calls;
        writeln!(out, "  may call       {may}; {most} times at the most")?;
    }
    if !abilities.destinations.is_empty() {
        let cap = abilities.transfer;
        let each = abilities.destinations.iter();
        let each = each.map(|to| format!("{} ({} USD a minute)", to.label, to.minute));
        writeln!(
            out,
            "  hands over to  {}; {} minutes and {} USD at the most, apart from the cap",
            each.collect::<Vec<_>>().join(", "),
            cap.minutes,
            cap.usd
        )?;
    }
    if manner.confirm {
        let how = "goes on talking until it has heard a quarter of a second of speech";
        writeln!(out, "  interrupted    {how}")?;
    }
    if manner.hold {
        writeln!(out, "  on hold        sends no music on to the model")?;
    }
    if manner.on_machine == OnMachine::Talk {
        writeln!(out, "  voicemail      is talked to")?;
    }
    Ok(())
}

fn may(agent: &Agent, abilities: &Abilities) -> Vec<String> {
    let built_in = [
        (abilities.end_call, "end_call"),
        (abilities.is_transfer_offered, "transfer"),
        (abilities.send_digits, "send_digits"),
    ];
    let named = built_in.iter().filter(|(may, _)| *may);
    let named = named.map(|(_, name)| name.to_string());
    named.chain(agent.tools.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use expect_test::expect;

    #[test]
    fn what_an_agent_may_do_is_told() {
        let text = r#"
[server]
listen = "127.0.0.1:8080"
public_url = "https://bot.acme.test"
[carrier.twilio.outbound_per_minute_usd]
"+1" = 0.0140
[model.main]
model = "gpt-realtime-2.1"
[tool.order-status]
description = "Look up an order."
url = "https://shop.acme.test/orders"
[agent.front-desk]
numbers = ["*"]
instructions = "You answer the phone for Acme."
tools = ["end_call", "transfer", "order-status"]
[agent.front-desk.transfer]
sales = "+14155550109"
[agent.front-desk.line]
barge_in = "confirm"
hold = true
"#;
        let secrets = [
            ("OPENAI_API_KEY", "sk-very-secret"),
            ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef"),
            ("TWILIO_AUTH_TOKEN", "token-very-secret"),
        ];
        let secrets = secrets.map(|(name, value)| (name.to_string(), value.to_string()));
        let settings = config::parse("acme.toml", text, secrets).expect("settings");
        let agent = &settings.agents[0];
        let mut told = Vec::new();
        describe(agent, &agent.models[0].rules, &mut told).expect("a vector takes it");
        let told = format!("front-desk\n{}", String::from_utf8(told).expect("text"));
        expect![[r#"
            front-desk
              may call       end_call, transfer, order-status; 20 times at the most
              hands over to  sales (0.014 USD a minute); 30 minutes and 1.00 USD at the most, apart from the cap
              interrupted    goes on talking until it has heard a quarter of a second of speech
              on hold        sends no music on to the model
        "#]]
        .assert_eq(&told);
    }
}
