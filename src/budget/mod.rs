//! Money shared between calls: reserve, top up, settle.
//!
//! A day, an agent and a caller each have an amount that all their calls together may cost. A call reserves its part before it is
//! answered and gives back what it did not use when it is over, so that calls which go on at the same time can never promise
//! themselves the same dollar twice. A part that was never settled counts as used: what its holder spent, nobody knows.

use crate::call::Verdict;
use crate::units::Usd;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What all calls together may cost, from `[budget]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every call of a day (UTC) together.
    pub day: Usd,
    /// Every call of one agent in a day.
    pub agent_day: Usd,
    /// Every call of one caller in a day.
    pub caller_day: Usd,
    /// What becomes of live calls when what they spend can no longer be written down.
    pub on_store_failure: OnStoreFailure,
}

/// What becomes of live calls when the store of the budgets, or the ledger, fails. New ones are refused either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStoreFailure {
    /// They go on with what they were granted, and are granted no more.
    #[default]
    FinishWithinGrant,
    /// They say goodbye at once.
    HangUp,
}

/// Whose money it is. A call draws on three accounts at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Account {
    Day,
    Agent(Arc<str>),
    Caller(Arc<str>),
}

/// What an account has used and promised today.
#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    spent: Usd,
    reserved: Usd,
}

/// The accounts of one day. Reservations outlive midnight; what was spent does not.
#[derive(Debug, Default)]
struct Book {
    day: i64,
    balances: HashMap<Account, Balance>,
}

/// The budgets above the calls, kept in this process.
#[derive(Debug)]
pub struct Budget {
    settings: Settings,
    today: fn() -> i64,
    book: Mutex<Book>,
}

/// A call's part. Settling it gives the unused rest back; dropping it unsettled uses it all up.
#[derive(Debug)]
pub struct Grant {
    budget: Arc<Budget>,
    agent: Arc<str>,
    caller: Arc<str>,
    amount: Usd,
}

impl Budget {
    /// Budgets of which nothing is used yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Budget {
            settings,
            today,
            book: Mutex::default(),
        })
    }

    /// Reserves a call's first part; `None` when one of its accounts has too little left.
    pub fn reserve(
        self: &Arc<Self>,
        agent: &Arc<str>,
        caller: &Arc<str>,
        amount: Usd,
    ) -> Option<Grant> {
        let (agent, caller) = (agent.clone(), caller.clone());
        let mut grant = Grant {
            budget: self.clone(),
            agent,
            caller,
            amount: Usd::ZERO,
        };
        match grant.top_up(amount) {
            Verdict::Granted(_) => Some(grant),
            Verdict::Refused => None,
        }
    }

    /// Counts what calls used today that were over before this process began.
    pub fn seed(&self, agent: &Arc<str>, caller: &Arc<str>, spent: Usd) {
        self.with_book(|book| {
            for account in accounts(agent, caller) {
                let balance = book.balances.entry(account).or_default();
                balance.spent = balance.spent.plus(spent);
            }
        });
    }

    /// What is promised to calls that are not over.
    pub fn reserved(&self) -> Usd {
        self.with_book(|book| book.balance(&Account::Day).reserved)
    }

    /// What calls that are over have used today.
    pub fn spent(&self) -> Usd {
        self.with_book(|book| book.balance(&Account::Day).spent)
    }

    fn with_book<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        // Every change of the book is complete before anything in it can panic.
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let day = (self.today)();
        // A clock that is set back over midnight does not bring a new day: neither then nor at the second midnight.
        if day < book.day.saturating_sub(1) {
            book.day = day;
        } else if day > book.day {
            book.day = day;
            book.balances
                .values_mut()
                .for_each(|balance| balance.spent = Usd::ZERO);
            book.balances
                .retain(|_, balance| !balance.reserved.is_zero());
        }
        work(&mut book)
    }

    fn limit(&self, account: &Account) -> Usd {
        match account {
            Account::Day => self.settings.day,
            Account::Agent(_) => self.settings.agent_day,
            Account::Caller(_) => self.settings.caller_day,
        }
    }
}

impl Book {
    fn balance(&self, account: &Account) -> Balance {
        self.balances.get(account).copied().unwrap_or_default()
    }
}

impl Grant {
    /// The part as it stands.
    pub fn amount(&self) -> Usd {
        self.amount
    }

    /// Reserves this much more, or nothing at all.
    pub fn top_up(&mut self, more: Usd) -> Verdict {
        let accounts = self.accounts();
        let budget = self.budget.clone();
        let granted = budget.with_book(|book| {
            let fits = accounts.iter().all(|account| {
                let Balance { spent, reserved } = book.balance(account);
                spent.plus(reserved).plus(more) <= budget.limit(account)
            });
            for account in accounts.into_iter().filter(|_| fits) {
                let balance = book.balances.entry(account).or_default();
                balance.reserved = balance.reserved.plus(more);
            }
            fits
        });
        if !granted {
            return Verdict::Refused;
        }
        self.amount = self.amount.plus(more);
        Verdict::Granted(more)
    }

    /// Gives back a part that was topped up and may not be used.
    pub fn give_back(&mut self, part: Usd) {
        let part = part.min(self.amount);
        self.amount = self.amount.less(part);
        let accounts = self.accounts();
        self.budget.with_book(|book| {
            for account in accounts {
                let balance = book.balances.entry(account).or_default();
                balance.reserved = balance.reserved.less(part);
            }
        });
    }

    /// The call is over and used this much.
    pub fn settle(mut self, used: Usd) {
        self.charge(used);
    }

    fn charge(&mut self, used: Usd) {
        let amount = std::mem::take(&mut self.amount);
        if amount.is_zero() && used.is_zero() {
            return;
        }
        let accounts = self.accounts();
        self.budget.with_book(|book| {
            for account in accounts {
                let balance = book.balances.entry(account).or_default();
                balance.reserved = balance.reserved.less(amount);
                balance.spent = balance.spent.plus(used);
            }
        });
    }

    fn accounts(&self) -> [Account; 3] {
        accounts(&self.agent, &self.caller)
    }
}

/// The accounts that a call of this agent and this caller draws on.
fn accounts(agent: &Arc<str>, caller: &Arc<str>) -> [Account; 3] {
    [
        Account::Day,
        Account::Agent(agent.clone()),
        Account::Caller(caller.clone()),
    ]
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.charge(self.amount);
    }
}

/// Days since 1970 in UTC.
fn today() -> i64 {
    jiff::Timestamp::now().as_second().div_euclid(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    const fn cents(cents: u64) -> Usd {
        Usd::from_micros(cents * 10_000)
    }

    fn budget() -> Arc<Budget> {
        Budget::new(Settings {
            day: cents(100),
            agent_day: cents(60),
            caller_day: cents(30),
            on_store_failure: OnStoreFailure::default(),
        })
    }

    fn names() -> (Arc<str>, Arc<str>, Arc<str>) {
        ("desk".into(), "ann".into(), "bob".into())
    }

    #[test]
    fn a_part_is_taken_from_every_account_and_its_rest_given_back() {
        let (desk, ann, bob) = names();
        let budget = budget();
        let first = budget.reserve(&desk, &ann, cents(25)).unwrap();
        assert!(
            budget.reserve(&desk, &ann, cents(10)).is_none(),
            "the caller has 5 cents left"
        );
        let second = budget.reserve(&desk, &bob, cents(30)).unwrap();
        assert!(
            budget.reserve(&desk, &"eve".into(), cents(10)).is_none(),
            "the agent has 5 cents left"
        );
        first.settle(cents(1));
        assert_eq!((budget.spent(), budget.reserved()), (cents(1), cents(30)));
        assert!(budget.reserve(&desk, &ann, cents(29)).is_some());
        second.settle(cents(30));
    }

    #[test]
    fn more_is_granted_while_there_is_more_and_a_refusal_changes_nothing() {
        let (desk, ann, _) = names();
        let budget = budget();
        let mut grant = budget.reserve(&desk, &ann, cents(10)).unwrap();
        assert_eq!(grant.top_up(cents(20)), Verdict::Granted(cents(20)));
        assert_eq!(grant.top_up(cents(1)), Verdict::Refused);
        assert_eq!((grant.amount(), budget.reserved()), (cents(30), cents(30)));
    }

    #[test]
    fn what_was_spent_before_a_restart_counts_and_a_part_given_back_does_not() {
        let (desk, ann, bob) = names();
        let budget = budget();
        budget.seed(&desk, &ann, cents(25));
        assert!(budget.reserve(&desk, &ann, cents(6)).is_none());
        let mut grant = budget.reserve(&desk, &bob, cents(10)).unwrap();
        assert_eq!(grant.top_up(cents(20)), Verdict::Granted(cents(20)));
        grant.give_back(cents(20));
        assert_eq!((budget.spent(), budget.reserved()), (cents(25), cents(10)));
        grant.settle(cents(10));
    }

    #[test]
    fn a_part_that_is_never_settled_counts_as_used() {
        let (desk, ann, _) = names();
        let budget = budget();
        drop(budget.reserve(&desk, &ann, cents(10)));
        assert_eq!((budget.spent(), budget.reserved()), (cents(10), Usd::ZERO));
    }

    #[test]
    fn a_new_day_forgets_what_was_spent_and_keeps_what_is_promised() {
        static DAY: AtomicI64 = AtomicI64::new(1);
        let (desk, ann, bob) = names();
        let settings = Settings {
            day: cents(20),
            agent_day: cents(20),
            caller_day: cents(20),
            on_store_failure: OnStoreFailure::default(),
        };
        let today = || DAY.load(Ordering::Relaxed);
        let budget = Arc::new(Budget {
            settings,
            today,
            book: Mutex::default(),
        });
        let over_night = budget.reserve(&desk, &ann, cents(10)).unwrap();
        budget
            .reserve(&desk, &bob, cents(10))
            .unwrap()
            .settle(cents(10));
        DAY.store(2, Ordering::Relaxed);
        assert_eq!((budget.spent(), budget.reserved()), (Usd::ZERO, cents(10)));
        over_night.settle(cents(5));
        assert_eq!((budget.spent(), budget.reserved()), (cents(5), Usd::ZERO));
    }

    #[test]
    fn a_clock_that_is_set_back_over_midnight_gives_nobody_the_same_day_twice() {
        static DAY: AtomicI64 = AtomicI64::new(2);
        let (desk, ann, _) = names();
        let budget = Arc::new(Budget {
            settings: budget().settings.clone(),
            today: || DAY.load(Ordering::Relaxed),
            book: Mutex::default(),
        });
        let grant = budget.reserve(&desk, &ann, cents(10)).unwrap();
        grant.settle(cents(10));
        for (day, spent) in [(1, 10), (2, 10), (0, 10), (1, 0)] {
            DAY.store(day, Ordering::Relaxed);
            assert_eq!(budget.spent(), cents(spent), "on day {day}");
        }
    }

    #[test]
    fn calls_at_the_same_time_never_promise_themselves_the_same_dollar() {
        let (desk, ..) = names();
        let settings = Settings {
            day: cents(50),
            agent_day: cents(100),
            caller_day: cents(100),
            on_store_failure: OnStoreFailure::default(),
        };
        let budget = Budget::new(settings);
        let taken: Vec<_> = std::thread::scope(|scope| {
            let reserve = |n: u64| {
                let (budget, desk) = (budget.clone(), desk.clone());
                move || budget.reserve(&desk, &format!("caller-{n}").into(), cents(1))
            };
            let threads: Vec<_> = (0..100).map(|n| scope.spawn(reserve(n))).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(taken.len(), 50);
        assert_eq!(budget.reserved(), cents(50));
    }
}
