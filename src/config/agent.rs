//! `[agent.NAME]`: who answers which number, as whom, and for how much.
//!
//! An agent and each of its models make one [`Session`] and one [`Rules`]; a cap that could not pay for a greeting, one
//! answer and a goodbye with every one of them is refused here rather than discovered by a caller.

mod abilities;
mod edge;
mod words;

use super::carrier::Line;
use super::model::Plan;
use super::outside::address;
use super::section::Section;
use crate::admission::{Agent, Model};
use crate::budget;
use crate::call::rules::{Abilities, Cap, Edge, Manner, Margins, Renewal, Rules};
use crate::realtime::{Session, TurnDetection};
use crate::tools;
use crate::units::{Phone, Usd};
use std::collections::BTreeMap;
use std::sync::Arc;
use words::Words;

/// A call that may cost more is probably a slip of the decimal point.
const ABSURD_CALL: Usd = Usd::from_micros(1_000_000_000);

const SECOND: u64 = 1000;
const DAY: u64 = 86_400_000;

pub(super) fn agents(
    root: &Section<'_>,
    models: &BTreeMap<String, Plan>,
    line: &Line,
    budget: &budget::Settings,
    tools: &tools::Settings,
) -> Vec<Arc<Agent>> {
    let family = root.family("agent");
    if family.is_empty() {
        let fix = "add a section [agent.front-desk] with numbers and instructions";
        root.mistake("agent", "there is no agent: nobody would answer", fix);
    }
    let purse = root.section("budget");
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut agents = Vec::new();
    for (name, section) in family {
        let agent = agent(name, &section, models, (line, tools));
        for number in &agent.numbers {
            if let Some(owner) = owners.insert(number.clone(), name.to_string()) {
                let what = format!("{number} is answered by {owner} already");
                section.mistake("numbers", &what, "give each number to one agent");
            }
        }
        afford(name, &agent, budget, &purse);
        agents.push(Arc::new(agent));
        section.finish();
    }
    agents
}

fn agent(
    name: &str,
    section: &Section<'_>,
    models: &BTreeMap<String, Plan>,
    (line, tools): (&Line, &tools::Settings),
) -> Agent {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        let what = "an agent's name is letters, digits, - and _ only";
        section.mistake("", what, "rename the section");
    }
    let numbers = numbers(section);
    let words = Words::read(section);
    let caps = Caps::read(&section.section("cap"));
    let edge = edge::edge(&section.section("edge"));
    let on_machine = abilities::on_machine(section);
    let listening = section.section("line");
    let keeps = abilities::keeping(&listening);
    let (lead_ms, manner) = abilities::manner(&listening, on_machine, keeps);
    listening.finish();
    let renewal = abilities::renewal(&section.section("renewal"));
    let moment = abilities::moment(section);
    let (abilities, named) = abilities::abilities(section, line, tools);
    let given = Given {
        words,
        caps,
        edge,
        lead_ms,
        manner,
        renewal,
        abilities,
        moment_ms: moment.len() as u64 / 8,
        minute: line.minute(&numbers),
        say: line.say,
    };
    let redirect = section.text("redirect").filter(|url| !url.is_empty());
    let redirect =
        redirect.and_then(|url| address(section, "redirect", url.trim(), ("https", "http")));
    let chosen = chosen(section, models).into_iter().map(|plan| {
        let mut model = Model {
            name: plan.name.clone(),
            dialect: plan.dialect,
            session: Arc::new(given.session(plan)),
            smallest_cap: Usd::ZERO,
            tollfree_minute: line.tollfree_minute(),
            rules: Arc::new(given.rules(plan)),
        };
        // What servers of tools offer comes on top when the server starts.
        let functions = named.iter().filter_map(|name| tools.function(name));
        model.equip(&functions.collect::<Vec<_>>());
        model
    });
    let agent = Agent {
        name: name.into(),
        numbers,
        models: chosen.collect(),
        tools: named.clone(),
        moment,
        keeps,
        redirect,
    };
    weigh(section, &agent);
    fits(section, &agent);
    agent
}

/// Everything an agent is, whichever of its models speaks.
struct Given {
    words: Words,
    caps: Caps,
    edge: Edge,
    lead_ms: u64,
    manner: Manner,
    renewal: Renewal,
    abilities: Abilities,
    moment_ms: u64,
    minute: Usd,
    say: Usd,
}

impl Given {
    /// Where our own ear decides whether the caller cuts in, the provider must not.
    fn interrupts(&self) -> bool {
        !self.manner.confirm
    }

    /// What a call with this model may do.
    fn rules(&self, plan: &Plan) -> Rules {
        let words = &self.words;
        Rules {
            spend: self.caps.spend,
            duration_ms: self.caps.duration_ms,
            silence_ms: self.caps.silence_ms,
            greeting: words.greeting.as_str().into(),
            goodbye: words.goodbye.as_str().into(),
            goodbye_sentence: words.goodbye_sentence.as_str().into(),
            trouble_sentence: words.trouble_sentence.as_str().into(),
            max_output_tokens: plan.max_output_tokens,
            settings_tokens: words.instructions.len() as u64,
            prefix_padding_ms: u64::from(plan.turn_detection.prefix_padding_ms),
            provider_interrupts: self.interrupts(),
            lead_ms: self.lead_ms,
            message_ms: 100,
            model: plan.price.unwrap_or_default(),
            transcription: plan.transcription.as_ref().map(|(_, price)| *price),
            minute: self.minute,
            say: self.say,
            fee: Usd::ZERO,
            answer_timeout_ms: plan.answer_timeout_ms,
            edge: self.edge,
            context_tokens: u64::from(plan.context_tokens),
            words_tokens: u64::from(plan.words_tokens(self.edge.shrink)),
            keep_turns: plan.keep_turns,
            model_name: plan.name.clone(),
            abilities: self.abilities.clone(),
            manner: self.manner,
            renewal: self.renewal,
            out_of_band: plan.can.out_of_band,
            moment_ms: self.moment_ms,
            margins: Margins::default(),
        }
    }

    /// What a session of this model is asked to be.
    fn session(&self, plan: &Plan) -> Session {
        Session {
            url: plan.url.clone(),
            model: plan.model.clone(),
            priced_as: plan.priced_as.clone(),
            can: plan.can,
            api_key: plan.api_key.clone(),
            voice: self.words.voice.clone(),
            instructions: self.words.instructions.clone(),
            audio: plan.audio,
            transcription: plan.transcription.as_ref().map(|(model, _)| model.clone()),
            max_output_tokens: plan.max_output_tokens,
            post_instructions: plan.post_instructions(self.edge.shrink),
            tools: Vec::new(),
            turn_detection: TurnDetection {
                interrupt_response: self.interrupts(),
                ..plan.turn_detection
            },
        }
    }
}

fn numbers(section: &Section<'_>) -> Vec<String> {
    let numbers = section.texts("numbers");
    let fix = "write them as [\"+15005550006\"], or [\"*\"] for every number nobody else answers";
    match &numbers {
        None if !section.has("numbers") => section.mistake("numbers", "is missing", fix),
        Some(all) if all.is_empty() => section.mistake("numbers", "is empty", fix),
        _ => {}
    }
    let numbers = numbers.unwrap_or_default();
    for number in &numbers {
        if number != "*" && !Phone::from(number.as_str()).is_e164() {
            section.mistake("numbers", &format!("{number:?} is not a phone number"), fix);
        }
    }
    numbers
}

/// The models an agent names, best first.
fn chosen<'m>(section: &Section<'_>, models: &'m BTreeMap<String, Plan>) -> Vec<&'m Plan> {
    let names = match section.texts("models") {
        Some(names) => names,
        None if section.has("models") => return Vec::new(),
        None => vec!["main".to_string()],
    };
    if names.is_empty() {
        section.mistake("models", "is empty", "name at least one model");
    }
    let found = names.iter().filter_map(|name| {
        let plan = models.get(name);
        if plan.is_none() && !models.is_empty() {
            let known = models.keys().map(String::as_str);
            let fix = match super::nearest(name, known.clone()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the models are: {}", known.collect::<Vec<_>>().join(", ")),
            };
            section.mistake("models", &format!("there is no [model.{name}]"), &fix);
        }
        plan
    });
    found.collect()
}

/// `[agent.NAME.cap]`.
struct Caps {
    spend: Cap<Usd>,
    duration_ms: Cap<u64>,
    silence_ms: Cap<u64>,
}

impl Caps {
    fn read(section: &Section<'_>) -> Caps {
        let spend = section.inline("spend");
        let end = spend.money("end").unwrap_or(Usd::from_micros(500_000));
        // Four fifths: an answer or two before the end.
        let early = Usd::from_nanos(end.nanos() / 5 * 4);
        let warn = spend.money("warn").unwrap_or(early);
        order(
            &spend,
            warn < end,
            &format!("{warn} USD"),
            &format!("{end} USD"),
        );
        if end > ABSURD_CALL {
            spend.warn("end", &format!("one call may cost {end} USD"));
        }
        spend.finish();
        let caps = Caps {
            spend: Cap { warn, end },
            duration_ms: times(section, "duration", 300 * SECOND, (20 * SECOND, DAY)),
            silence_ms: times(section, "silence", 40 * SECOND, (5 * SECOND, DAY)),
        };
        section.inline("transfer");
        section.finish();
        caps
    }
}

fn times(
    section: &Section<'_>,
    key: &'static str,
    default: u64,
    (least, most): (u64, u64),
) -> Cap<u64> {
    let cap = section.inline(key);
    let end = cap.time("end").unwrap_or(default);
    let early = if key == "silence" {
        end / 2
    } else {
        end / 5 * 4
    };
    let warn = cap.time("warn").unwrap_or(early);
    order(&cap, warn < end, &span(warn), &span(end));
    if !(least..=most).contains(&end) {
        let (written, hours) = (span(end), most / 3_600_000);
        let what = format!("{written}: must be from {}s to {hours}h", least / SECOND);
        cap.mistake("end", &what, "write it as \"5m\"");
    }
    cap.finish();
    Cap { warn, end }
}

fn order(cap: &Section<'_>, warned_first: bool, warn: &str, end: &str) {
    if !warned_first {
        let what = format!("{warn} must be less than end, {end}: the warning comes first");
        cap.mistake("warn", &what, "lower it, or raise end");
    }
}

/// A length of time, in seconds where it has no parts of one.
fn span(ms: u64) -> String {
    match ms % SECOND {
        0 => format!("{}s", ms / SECOND),
        _ => format!("{ms}ms"),
    }
}

/// Whether the caps can pay for what they allow.
fn weigh(section: &Section<'_>, agent: &Agent) {
    let cap = section.section("cap");
    let spend = cap.inline("spend");
    // A model without a price was reported already, and would look free here.
    let priced = agent
        .models
        .iter()
        .filter(|model| model.rules.model.dearest_out() > 0);
    if let Some(model) = priced.clone().max_by_key(|model| model.smallest_cap)
        && model.smallest_cap > model.rules.spend.end
    {
        let smallest = model.smallest_cap;
        let what = format!(
            "{} USD cannot pay for a greeting, one answer and a goodbye with model {}: that takes {smallest} USD",
            model.rules.spend.end, model.name
        );
        spend.mistake(
            "end",
            &what,
            &format!("write at least {smallest}, or choose a cheaper model"),
        );
    }
    for model in priced {
        let end = model.rules.spend.end;
        let reread = Usd::from_nanos(model.rules.model.audio_in).times(model.rules.context_tokens);
        if reread.times(6) > end {
            let tokens = model.rules.context_tokens;
            spend.warn("end", &format!(
                "with model {}, one answer may have to read {tokens} tokens of sound again for {reread} USD, more than a \
                 sixth of the cap; lower context_tokens or raise the cap", model.name));
        }
    }
    if let Some(model) = agent.models.first() {
        let minutes = model.rules.duration_ms.end.div_ceil(60 * SECOND);
        let line = model.rules.minute.times(minutes);
        if line > model.rules.spend.end {
            cap.warn("duration.end", &format!(
                "{minutes} minutes cost {line} USD at the carrier alone, so the cap on spend always ends the call first"));
        }
    }
}

/// Whether each model can do what the edge of the budget asks of it.
fn fits(section: &Section<'_>, agent: &Agent) {
    for model in &agent.models {
        let (longest, shortest) = (
            model.rules.max_output_tokens,
            model.rules.edge.min_output_tokens,
        );
        if shortest > longest {
            let what = format!(
                "asks for answers of {shortest} tokens, and max_output_tokens of model {} is {longest}",
                model.name
            );
            let fix = "shorten it, or raise max_output_tokens: 20 tokens are a second";
            section.section("edge").mistake("min_answer", &what, fix);
        }
        let edge = section.section("edge");
        if model.rules.edge.shrink && edge.has("shrink") && model.rules.transcription.is_none() {
            let what = format!(
                "has no text to put in place of the caller's sound: nobody transcribes for model {}",
                model.name
            );
            edge.warn("shrink", &what);
        }
    }
}

/// Whether the budgets above the call can pay for one.
fn afford(name: &str, agent: &Agent, budget: &budget::Settings, purse: &Section<'_>) {
    let Some(model) = agent.models.iter().max_by_key(|model| model.smallest_cap) else {
        return;
    };
    let (smallest, end) = (model.smallest_cap, model.rules.spend.end);
    for (key, amount) in [
        ("day_usd", budget.day),
        ("agent_day_usd", budget.agent_day),
        ("caller_day_usd", budget.caller_day),
    ] {
        if amount < smallest {
            let what = format!(
                "{amount} USD cannot pay for one call to {name}, which takes at least {smallest} USD"
            );
            purse.mistake(key, &what, "raise it");
        } else if amount < end {
            purse.warn(
                key,
                &format!("{amount} USD is less than the {end} USD one call to {name} may cost"),
            );
        }
    }
}
