//! May this call begin?
//!
//! Everything that can be known before answering is asked here, because refusing costs nothing before the answer and money after it:
//! is there an agent for that number, a free line, a caller who has not called too often, and money for at least a greeting, an
//! answer and a goodbye? Whoever passes holds a [`Ticket`], a line, and a part of the budgets.

mod outbound;

pub use outbound::{Placeable, Undialled, Wish};

use crate::budget::{Budget, Grant};
use crate::call::Ticket;
use crate::call::record::Refusal;
use crate::call::rules::Rules;
use crate::call::tools::built_in;
use crate::carrier::{Attestation, Offer};
use crate::ledger::{Keeping, Salt};
use crate::pricing::{Allowed, Outbound};
use crate::realtime::Session;
use crate::tools::{Offer as Offered, Toolbox};
use crate::units::{CallId, Phone, Usd};
use governor::{DefaultKeyedRateLimiter, Quota};
use rand::Rng;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How much may go on at once, from `[limits]`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls at once.
    pub calls: usize,
    /// Calls of one caller in an hour; callers nobody vouches for share one bucket.
    pub per_caller_per_hour: u32,
    /// Media sockets that have not yet proven which call they are.
    pub pending_streams: usize,
    /// What numbers must begin with that may be dialled.
    pub dial_prefixes: Allowed,
}

/// Who answers: one `[agent.NAME]`, with everything resolved.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its name.
    pub name: Arc<str>,
    /// The numbers it answers; `*` is every number nobody else answers.
    pub numbers: Vec<String>,
    /// Its models, best first.
    pub models: Vec<Model>,
    /// The tools it was given by name, besides those that need nobody else.
    pub tools: Vec<String>,
    /// What the caller hears while nobody holds the floor: mu-law at 8 kHz.
    pub moment: Arc<[u8]>,
    /// Who keeps what was said.
    pub keeps: Keeping,
    /// Where refused callers are sent instead of being turned away; `None`: turned away, free of charge.
    pub redirect: Option<String>,
}

/// One model an agent may use, and what a call may do with it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name in `[model.NAME]`.
    pub name: Arc<str>,
    /// The dialect's name, one of [`crate::realtime::DIALECTS`].
    pub dialect: &'static str,
    /// What to ask of a session.
    pub session: Arc<Session>,
    /// What the call may do.
    pub rules: Arc<Rules>,
    /// A started minute at the carrier when the number called is toll-free.
    pub tollfree_minute: Usd,
    /// What the whole of a smallest useful call costs: greeting, one answer and a goodbye. See `check`.
    pub smallest_cap: Usd,
}

impl Agent {
    /// The same agent with the tools that were found by the names it was given. One that cannot pay for them stays as it is.
    ///
    /// # Errors
    /// The smallest cap that would do.
    pub fn equipped(&self, toolbox: &Toolbox) -> Result<Agent, Usd> {
        let offers = self.tools.iter().flat_map(|name| toolbox.offers(name));
        let offers: Vec<&Offered> = offers.collect();
        let mut agent = self.clone();
        for model in &mut agent.models {
            model.equip(&offers);
            if model.smallest_cap > model.rules.spend.end {
                return Err(model.smallest_cap);
            }
        }
        Ok(agent)
    }
}

impl Model {
    /// Offers the model these tools, and those that need nobody else: it reads what they are before every answer.
    pub fn equip(&mut self, offers: &[&Offered]) {
        let session = Arc::make_mut(&mut self.session);
        let rules = Arc::make_mut(&mut self.rules);
        rules.abilities.tools = offers.iter().map(|offer| offer.terms.clone()).collect();
        session.tools = built_in(&rules.abilities);
        let offered = offers.iter().map(|offer| offer.tool.clone());
        session.tools.extend(offered);
        let bytes = session.tools.iter().map(|tool| {
            let words = tool.name.len() + tool.description.len();
            words + tool.parameters.to_string().len() + TOOL_BYTES
        });
        let bytes = bytes.sum::<usize>() + session.instructions.len();
        rules.settings_tokens = bytes as u64;
        self.smallest_cap = rules.smallest_cap();
    }

    /// What a call to this number may do, and what its minutes cost.
    fn rules_for(&self, to: &Phone) -> Arc<Rules> {
        if !to.is_toll_free() || self.tollfree_minute <= self.rules.minute {
            return self.rules.clone();
        }
        let mut rules = Rules::clone(&self.rules);
        rules.minute = self.tollfree_minute;
        Arc::new(rules)
    }
}

/// What stands around a tool in the settings, in bytes: its keys, its brackets, a namespace.
const TOOL_BYTES: usize = 64;

/// The bucket of all callers whose number nobody vouches for.
const UNVOUCHED: &str = "unvouched";

/// Callers whose rate is remembered before the old ones are looked for.
const MOST_CALLERS: usize = 10_000;

/// The gate.
#[derive(Debug)]
pub struct Admission {
    agents: Vec<Arc<Agent>>,
    limits: Limits,
    outbound: Outbound,
    budget: Arc<Budget>,
    salt: Salt,
    rate: DefaultKeyedRateLimiter<Arc<str>>,
    on_the_line: Arc<AtomicUsize>,
    draining: AtomicBool,
}

/// A call that may begin.
#[derive(Debug)]
pub struct Admitted {
    /// For the core.
    pub ticket: Ticket,
    /// Who answers.
    pub agent: Arc<Agent>,
    /// With which model.
    pub model: Model,
    /// The caller's account in the budgets and in the ledger: never the number itself.
    pub account: Arc<str>,
    /// Its part of the budgets.
    pub grant: Grant,
    /// Its line; dropping it frees the line.
    pub slot: Slot,
}

/// A call that may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose number was called, if anybody's.
    pub agent: Option<Arc<str>>,
    /// Why.
    pub refusal: Refusal,
    /// Where to send the caller instead.
    pub redirect: Option<String>,
}

/// One of the lines.
#[derive(Debug)]
pub struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(on_the_line: &Arc<AtomicUsize>, most: usize) -> Option<Slot> {
        let one_more = |n: usize| (n < most).then_some(n + 1);
        on_the_line
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .ok()?;
        Some(Slot(on_the_line.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Admission {
    /// A gate with all lines free.
    pub fn new(agents: Vec<Arc<Agent>>, limits: Limits, budget: Arc<Budget>) -> Self {
        let per_hour = NonZeroU32::new(limits.per_caller_per_hour).unwrap_or(NonZeroU32::MIN);
        Admission {
            agents,
            limits,
            outbound: Outbound::default(),
            budget,
            salt: Salt::default(),
            rate: DefaultKeyedRateLimiter::keyed(Quota::per_hour(per_hour)),
            on_the_line: Arc::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// The same, with accounts of callers as this salt makes them: those of one ledger.
    pub fn with_salt(self, salt: Salt) -> Self {
        Admission { salt, ..self }
    }

    /// The same, which knows what calls that go out cost; without it none is placed.
    pub fn with_outbound(self, outbound: Outbound) -> Self {
        Admission { outbound, ..self }
    }

    /// From now on nobody is admitted.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether anybody may still be admitted.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Calls that have a line now.
    pub fn on_the_line(&self) -> usize {
        self.on_the_line.load(Ordering::Acquire)
    }

    /// Decides whether an offered call may begin.
    ///
    /// # Errors
    /// [`Refused`] says why not; nothing has been spent or counted then but the caller's attempt.
    pub fn admit(&self, offer: &Offer) -> Result<Admitted, Refused> {
        // What goes out has prices of its own, which nobody has named.
        if !offer.inbound {
            return Err(Refused {
                agent: None,
                refusal: Refusal::Outbound,
                redirect: None,
            });
        }
        let Some(agent) = self.agent_for(offer.to.reveal()) else {
            return Err(Refused {
                agent: None,
                refusal: Refusal::UnknownNumber,
                redirect: None,
            });
        };
        let refused = |refusal| Refused {
            agent: Some(agent.name.clone()),
            refusal,
            redirect: agent.redirect.clone(),
        };
        if self.is_draining() {
            return Err(refused(Refusal::Draining));
        }
        let caller: Arc<str> = match offer.attestation {
            Attestation::Full => self.salt.account(offer.from.reveal()),
            Attestation::Partial | Attestation::None => UNVOUCHED.into(),
        };
        if !self.may_call_again(&caller) {
            return Err(refused(Refusal::TooOften));
        }
        let Some(slot) = Slot::take(&self.on_the_line, self.limits.calls) else {
            return Err(refused(Refusal::Busy));
        };
        let Some(model) = agent.models.first().cloned() else {
            return Err(refused(Refusal::UnknownNumber));
        };
        let rules = model.rules_for(&offer.to);
        let Some(grant) = self.first_part(&agent.name, &caller, &rules) else {
            return Err(refused(Refusal::OverBudget));
        };
        let ticket = Ticket {
            call: new_call_id(),
            rules,
            others: agent.models[1..]
                .iter()
                .map(|model| model.rules_for(&offer.to))
                .collect(),
            began_unix_s: unix_s(),
            granted: grant.amount(),
        };
        Ok(Admitted {
            ticket,
            agent: agent.clone(),
            model,
            account: caller,
            grant,
            slot,
        })
    }

    /// Counts an attempt of this account, and tells whether it may make it.
    fn may_call_again(&self, account: &Arc<str>) -> bool {
        // Callers of long ago are forgotten, or the table would grow for ever.
        if self.rate.len() > MOST_CALLERS {
            self.rate.retain_recent();
        }
        self.rate.check_key(account).is_ok()
    }

    /// Reserves a call's first part: a quarter of its cap, or else the least that it can begin with.
    fn first_part(&self, agent: &Arc<str>, account: &Arc<str>, rules: &Rules) -> Option<Grant> {
        let cap = rules.spend.end;
        let smallest = rules.smallest_cap().min(cap);
        let part = smallest.max(Usd::from_nanos(cap.nanos() / 4));
        let reserve = |amount| self.budget.reserve(agent, account, amount);
        reserve(part).or_else(|| reserve(smallest))
    }

    fn agent_for(&self, number: &str) -> Option<&Arc<Agent>> {
        let answers = |agent: &&Arc<Agent>, wanted: &str| agent.numbers.iter().any(|n| n == wanted);
        let by_number = self.agents.iter().find(|agent| answers(agent, number));
        by_number.or_else(|| self.agents.iter().find(|agent| answers(agent, "*")))
    }
}

/// Seconds since 1970, by this machine's calendar.
pub fn unix_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Letters and digits that cannot be mistaken for each other.
const LETTERS: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";

/// A random name of this many letters.
fn random_name(letters: usize) -> String {
    let mut random = rand::rng();
    (0..letters)
        .map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]))
        .collect()
}

/// A name for a call, never given before.
pub fn new_call_id() -> CallId {
    CallId::from(format!("rf-{}", random_name(12)).as_str())
}

/// A secret that nobody guesses: 32 letters of almost five bits each.
pub fn new_token() -> String {
    random_name(32)
}
