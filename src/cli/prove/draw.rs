//! A call drawn by lot: its agent, its prices, its model's pace and its caller, all out of one seed.
//!
//! Whatever a cap depends on is drawn: the model and the transcription from the price book, the carrier's prices, the cap itself from
//! the smallest that the settings allow up to two dollars, and how long everything lasts. The same hazard and the same seed are the
//! same call for ever.

mod doors;
mod extras;

use super::hazards::{Hazard, MANNERS, Manner};
use super::stage::{Beside, Dialled, Role, Stage};
use crate::admission::Agent;
use crate::call::rules::{Cap, Rules};
use crate::cli::world::{self, Plan};
use crate::config;
use crate::pricing::PriceBook;
use crate::sim::dice::Dice;
use crate::sim::phone::{self, Act, Line, Step, When};
use crate::sim::voice;
use crate::units::Usd;
use std::sync::{Arc, OnceLock};

/// No cap is larger: a dearer call would only take longer to reach it.
const LARGEST_CAP: Usd = Usd::from_micros(2_000_000);

/// One call in so many and one sends the model sound of 24 kHz; the others send the telephone's own.
pub const LINEAR: u64 = 63;

/// One call in so many and one sends the carrier's own frames of 20 ms; the others send five of them at once.
pub const BUNCHED: u64 = 7;

/// What the others send at once, in milliseconds.
const BUNCH_MS: u64 = 100;

/// The longest that a caller of these speaks without a pause.
const LONGEST_SPEECH_MS: u64 = 90_000;

/// What a call depends on besides its model and its caller.
pub struct Lot {
    /// Chance, from here on.
    pub dice: Dice,
    /// The settings that were drawn, but for the cap.
    pub plan: Plan,
    /// The same, read.
    pub settings: config::Settings,
    /// The smallest cap that they allow.
    pub smallest: Usd,
    /// The cap.
    pub cap: Usd,
    /// What the carrier really takes for a started minute.
    pub minute: Usd,
    /// What it takes for a sentence.
    pub say: Usd,
    /// What the agent has besides models.
    pub beside: Beside,
}

impl Lot {
    /// Draws the settings of this hazard and seed; `longest_ms` replaces the cap on duration.
    ///
    /// # Errors
    /// Settings that make no sense, which no seed should draw.
    pub fn new(
        hazard: &Hazard,
        book: &PriceBook,
        seed: u64,
        longest_ms: Option<u64>,
    ) -> Result<Lot, String> {
        // Else all hazards would meet the same few agents and callers.
        let name = hazard.name.bytes().fold(seed, |mixed, byte| {
            mixed.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let mut dice = Dice::new(Dice::new(name).roll());
        let (per_minute, media) = (up_to(&mut dice, 40_000), up_to(&mut dice, 8_000));
        let say = up_to(&mut dice, 10_000);
        let longest_ms = longest_ms.or_else(|| hazard.long.then(|| 40_000 + dice.up_to(140_000)));
        let mut settings = agent(&mut dice, book, longest_ms);
        if hazard.backup.is_some() {
            settings.extend(backup(&mut dice, book));
        }
        settings.extend([
            setting("carrier.twilio.per_minute_usd", per_minute),
            setting("carrier.twilio.media_per_minute_usd", media),
            setting("carrier.twilio.say_usd", say),
            setting("cap.spend.end", LARGEST_CAP),
        ]);
        let plan = Plan {
            settings,
            backup: hazard.backup.map(str::to_string),
            ..Plan::default()
        };
        let mut settings = Stage::settings(&plan)?;
        let beside = extras::beside(hazard, &mut dice);
        let renewal = extras::renewal(hazard, &mut dice);
        let agents = settings.agents.iter();
        settings.agents = agents
            .map(|agent| extras::able(agent, &beside, renewal))
            .collect();
        let models = settings.agents.iter().flat_map(|agent| &agent.models);
        let smallest = models.map(|model| model.rules.smallest_cap()).max();
        let smallest = smallest.ok_or("the plan has no model")?;
        let cap = between(&mut dice, smallest, LARGEST_CAP.max(smallest));
        let agents = settings.agents.iter();
        settings.agents = agents.map(|agent| with_cap(agent, cap)).collect();
        Ok(Lot {
            dice,
            plan,
            settings,
            smallest,
            cap,
            minute: per_minute.plus(media),
            say,
            beside,
        })
    }

    /// How long the call may last, in milliseconds.
    pub fn lasts_ms(&self) -> u64 {
        let models = self.settings.agents.iter().flat_map(|agent| &agent.models);
        let lasts_ms = models.map(|model| model.rules.duration_ms.end).max();
        lasts_ms.unwrap_or(0)
    }

    /// Draws how the models behave, and what becomes of the attempts to reach them.
    ///
    /// # Errors
    /// A hazard in words that the simulator does not know.
    pub fn models(&mut self, hazard: &Hazard) -> Result<Vec<Vec<Dialled>>, String> {
        let mut setup = world::model_setup(&self.words(hazard))?;
        setup.cache = self.dice.up_to(1) == 0;
        let mut setups = vec![setup];
        if let Some(manners) = hazard.backup {
            let words = words(manners, &mut self.dice);
            setups.push(world::model_setup(&words)?);
        }
        Ok(doors::draw(hazard.doors, setups, &mut self.dice))
    }

    /// Somebody who calls at this moment, and all that they meet.
    ///
    /// # Errors
    /// As [`Lot::models`].
    pub fn role(
        &mut self,
        hazard: &Hazard,
        mut phone: phone::Setup,
        rings_ms: u64,
    ) -> Result<Role, String> {
        let models = self.models(hazard)?;
        self.caller(hazard, &mut phone);
        let mut beside = self.beside.clone();
        beside.seed = self.dice.roll();
        Ok(Role {
            rings_ms,
            phone,
            models,
            beside,
        })
    }

    /// The plan with its cap, and with how the model behaves: for a server that reads it anew.
    pub fn whole_plan(&mut self, hazard: &Hazard) -> Plan {
        let mut plan = self.plan.clone();
        let warn = Usd::from_nanos(self.cap.nanos() / 5 * 4);
        for (key, amount) in [("cap.spend.warn", warn), ("cap.spend.end", self.cap)] {
            plan.settings.push(setting(key, amount));
        }
        plan.model = self.words(hazard);
        plan.backup = hazard.backup.map(|manners| words(manners, &mut self.dice));
        plan
    }

    /// Draws how the model behaves, in the simulator's words.
    pub fn words(&mut self, hazard: &Hazard) -> String {
        words(hazard.model, &mut self.dice)
    }

    /// Draws what the caller does, and how good the line is.
    pub fn caller(&mut self, hazard: &Hazard, phone: &mut phone::Setup) {
        let lasts_ms = self.lasts_ms();
        phone.script = script(hazard, &mut self.dice, lasts_ms);
        phone.line = line(&mut self.dice);
        phone.keep_sound = false;
        if self.dice.up_to(BUNCHED) > 0 {
            phone.frame_ms = BUNCH_MS;
        }
    }
}

/// A call, ready to be made.
pub struct Drawn {
    stage: Stage,
    role: Role,
    /// What the carrier really takes for a started minute.
    pub minute: Usd,
    /// What it takes for a sentence.
    pub say: Usd,
}

impl Drawn {
    /// Draws the call of this hazard and seed.
    ///
    /// # Errors
    /// Settings that make no sense, which no seed should draw.
    pub fn new(hazard: &Hazard, book: &PriceBook, seed: u64) -> Result<Drawn, String> {
        let mut lot = Lot::new(hazard, book, seed, None)?;
        if hazard.poor {
            lot.settings.budget.caller_day = between(&mut lot.dice, lot.smallest, lot.cap);
        }
        let role = lot.role(hazard, Stage::phone(seed), 0)?;
        let (minute, say) = (lot.minute, lot.say);
        Ok(Drawn {
            stage: Stage::of(lot.settings)?,
            role,
            minute,
            say,
        })
    }

    /// Makes the call.
    ///
    /// # Errors
    /// Says where a call that never ends was stuck.
    pub fn make(self) -> Result<super::Outcome, String> {
        self.stage.call_as(self.role)
    }
}

fn setting(key: &str, value: impl ToString) -> (String, String) {
    (key.to_string(), value.to_string())
}

/// Up to so many millionths of a dollar.
fn up_to(dice: &mut Dice, micros: u64) -> Usd {
    Usd::from_micros(dice.up_to(micros))
}

/// An amount between these two, small ones oftener: tight caps are where holes are.
pub(super) fn between(dice: &mut Dice, least: Usd, most: Usd) -> Usd {
    let span = most.less(least).nanos() >> dice.up_to(8);
    least.plus(Usd::from_nanos(dice.up_to(span)))
}

/// A number between these two, small ones oftener.
fn within(dice: &mut Dice, least: u64, most: u64) -> u64 {
    let span = (most - least) >> dice.up_to(3);
    least + dice.up_to(span)
}

/// The agent with this cap. Only the cap differs from what the settings say, so they need not be read a second time.
fn with_cap(agent: &Agent, cap: Usd) -> Arc<Agent> {
    let mut agent = agent.clone();
    for model in &mut agent.models {
        let mut rules = Rules::clone(&model.rules);
        rules.spend = Cap {
            warn: Usd::from_nanos(cap.nanos() / 5 * 4),
            end: cap,
        };
        model.rules = Arc::new(rules);
    }
    Arc::new(agent)
}

/// How long a call may last. Most are short, for what can go wrong goes wrong at the beginning and at the end; one in twelve
/// crosses a minute's boundary, and one in 128 lasts as long as calls do.
fn duration(dice: &mut Dice) -> u64 {
    match dice.up_to(127) {
        0 => 60_000 + dice.up_to(540_000),
        1..11 => 50_000 + dice.up_to(80_000),
        _ => 20_000 + dice.up_to(7_000),
    }
}

/// Whatever an agent and its model can be set to, but for the cap on spend.
fn agent(dice: &mut Dice, book: &PriceBook, longest_ms: Option<u64>) -> Vec<(String, String)> {
    let model = book.models.keys().nth(pick(dice, book.models.len()));
    // One more than there are: nobody transcribes.
    let listeners = book.transcriptions.len();
    let listener = book.transcriptions.keys().nth(pick(dice, listeners + 1));
    let duration_ms = longest_ms.unwrap_or_else(|| duration(dice));
    let silence_ms = within(dice, 5_000, 40_000);
    let greeting = match dice.up_to(2) {
        0 => "",
        _ => "Greet the caller and ask how you can help.",
    };
    let instructions = "Say that you are an automated assistant. "
        .repeat(1 + usize::try_from(dice.up_to(20)).unwrap_or(0));
    // Turning sound of 8 kHz into 24 and back is half of the work of a call that does, and no part of the money.
    let audio = if dice.up_to(LINEAR) == 0 {
        "pcm16"
    } else {
        "pcmu"
    };
    let ms = |ms: u64| format!("{ms}ms");
    vec![
        setting("model.main.model", model.map_or("", String::as_str)),
        setting("transcription", listener.map_or("", String::as_str)),
        setting("audio", audio),
        setting("max_output_tokens", within(dice, 160, 4_096)),
        setting("context_tokens", within(dice, 500, 8_000)),
        setting("answer_timeout", ms(within(dice, 1_500, 15_000))),
        setting("turn_detection.prefix_padding_ms", within(dice, 0, 1_000)),
        setting(
            "turn_detection.silence_duration_ms",
            within(dice, 100, 1_500),
        ),
        setting("lead", ms(200 + dice.up_to(200))),
        setting("instructions", instructions),
        setting("greeting", greeting),
        setting("cap.duration.warn", ms(duration_ms / 5 * 4)),
        setting("cap.duration.end", ms(duration_ms)),
        setting("cap.silence.warn", ms(silence_ms / 2)),
        setting("cap.silence.end", ms(silence_ms)),
    ]
}

/// The agent's second model: oftener than not a cheap one.
fn backup(dice: &mut Dice, book: &PriceBook) -> Vec<(String, String)> {
    let names: Vec<&String> = book.models.keys().collect();
    let model = match dice.up_to(2) {
        0 => names[pick(dice, names.len())].as_str(),
        _ => "gpt-realtime-2.1-mini",
    };
    vec![
        setting("model.backup.model", model),
        setting("model.backup.max_output_tokens", within(dice, 160, 4_096)),
    ]
}

/// An index below `count`.
pub(super) fn pick(dice: &mut Dice, count: usize) -> usize {
    let most = u64::try_from(count.saturating_sub(1)).unwrap_or(0);
    usize::try_from(dice.up_to(most)).unwrap_or(0)
}

/// How the model behaves: an ordinary pace, and then what the hazard says.
fn words(manners: &str, dice: &mut Dice) -> String {
    let mut words = format!(
        "latency={}ms speed={}x greeting={}ms goodbye={}ms",
        100 + dice.up_to(1_000),
        2 + dice.up_to(8),
        500 + dice.up_to(5_000),
        // With every latency and every delay of the line there is still time to hear it whole.
        500 + dice.up_to(6_000),
    );
    if dice.up_to(1) == 0 {
        words += &format!(" answer={}ms", within(dice, 500, 30_000));
    }
    if dice.up_to(3) == 0 {
        words += " limit=answer-to-limit";
    }
    words + " " + &manners.replace("{}", &dice.up_to(20_000).to_string())
}

fn line(dice: &mut Dice) -> Line {
    if dice.up_to(1) == 0 {
        return Line::default();
    }
    Line {
        delay_ms: dice.up_to(150),
        jitter_ms: dice.up_to(60),
        lost_permille: u16::try_from(dice.up_to(20)).unwrap_or(0),
    }
}

/// What the caller does.
fn script(hazard: &Hazard, dice: &mut Dice, lasts_ms: u64) -> Vec<Step> {
    let any = MANNERS[pick(dice, MANNERS.len())];
    let manner = hazard.caller.unwrap_or(any);
    let mut steps = Vec::new();
    let mut at_ms = dice.up_to(4_000);
    let mut spoken_ms = 0;
    for _ in 0..60 {
        let (when, speech_ms) = match manner {
            Manner::Silent => break,
            Manner::Converses if dice.up_to(4) == 0 => {
                let after_ms = 200 + dice.up_to(4_000);
                (When::Interrupts { after_ms }, 400 + dice.up_to(2_000))
            }
            Manner::Converses => {
                let after_ms = 300 + dice.up_to(3_000);
                (When::Replies { after_ms }, 400 + dice.up_to(6_000))
            }
            Manner::TalksOver => {
                let after_ms = 50 + dice.up_to(1_500);
                (When::Interrupts { after_ms }, 300 + dice.up_to(2_500))
            }
            Manner::Murmurs => {
                let speech_ms = 150 + dice.up_to(500);
                let ms = at_ms;
                at_ms += speech_ms + 200 + dice.up_to(2_000);
                (When::At { ms }, speech_ms)
            }
            Manner::Monologue => {
                let speech_ms = 20_000 + dice.up_to(LONGEST_SPEECH_MS - 20_000);
                let ms = at_ms;
                at_ms += speech_ms + 200 + dice.up_to(3_000);
                (When::At { ms }, speech_ms)
            }
        };
        // Nothing is said after the call.
        if at_ms > lasts_ms || spoken_ms > lasts_ms {
            break;
        }
        spoken_ms += speech_ms;
        let act = Act::Say(speech(dice, speech_ms));
        steps.push(Step { when, act });
    }
    if manner == Manner::Converses && dice.up_to(2) > 0 {
        // Nobody waits for a greeting that may not come.
        let when = When::At { ms: 500 };
        let act = Act::Say(speech(dice, 1_500));
        steps.insert(0, Step { when, act });
    }
    if hazard.hangs_up || dice.up_to(9) == 0 {
        let ms = within(dice, 0, lasts_ms);
        let act = Act::HangUp;
        steps.push(Step {
            when: When::At { ms },
            act,
        });
    }
    steps
}

/// So much of a voice, from anywhere in a long speech: making a new one would take longer than the call.
pub(super) fn speech(dice: &mut Dice, ms: u64) -> Arc<[i16]> {
    static SPEECH: OnceLock<Vec<i16>> = OnceLock::new();
    let all = SPEECH.get_or_init(|| voice::speech(LONGEST_SPEECH_MS, 7));
    let per_ms = u64::from(voice::RATE) / 1_000;
    let samples = usize::try_from(ms * per_ms).unwrap_or(all.len());
    let samples = samples.min(all.len());
    let from = pick(dice, all.len() - samples + 1);
    all[from..from + samples].into()
}
