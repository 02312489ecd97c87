//! The true-up: what the carrier says of a call that is over, beside what we charged for it.
//!
//! A cap counts the carrier's minutes by our own clock, and whether the carrier counts the same is known only afterwards: at once by its
//! status callback, and some time later, when the call has been rated, by its own record. Both become lines of the call, never an edit,
//! and a difference is told in dollars. Nothing a carrier says here changes what a call was charged.

use crate::carrier::{Carrier, Status};
use crate::ledger::books::CallRow;
use crate::ledger::reconcile::{CallRates, Difference};
use crate::ledger::{Books, CarrierRecord, Ledger, OpenError, statement};
use crate::requests::Requests;
use crate::units::{CallId, Id};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// When the carrier's record is asked for: a minute after the end, and once more, if it has no price then, ten minutes later. Rating
/// takes minutes (facts: carriers, the call's record).
const PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(600)];

/// Records that are asked for at a time: a carrier takes only so many requests a second.
const ASKED_AT_ONCE: usize = 4;

/// How long a call may take to be over for us when it is over for the carrier, in seconds: its last requests are seen through first.
const LAST_LINE_S: u32 = 60;

/// What compares one carrier's account of calls with ours.
pub struct TrueUp {
    ledger: Ledger,
    requests: Requests,
    carrier: Arc<dyn Carrier>,
    rates: CallRates,
    /// Of two callbacks about one call, the second must see the first.
    alone: Mutex<()>,
    asking: Semaphore,
}

impl TrueUp {
    /// For calls of this carrier, whose connections cost this much.
    pub fn new(
        ledger: Ledger,
        requests: Requests,
        carrier: Arc<dyn Carrier>,
        rates: CallRates,
    ) -> TrueUp {
        TrueUp {
            ledger,
            requests,
            carrier,
            rates,
            alone: Mutex::new(()),
            asking: Semaphore::new(ASKED_AT_ONCE),
        }
    }

    /// The carrier has said that a call is over: writes it down, and asks for its record later. Told twice, it is written once.
    pub async fn told(self: Arc<Self>, status: Status) {
        let minutes = status.duration_s.map(|seconds| seconds.div_ceil(60));
        let record = CarrierRecord {
            duration_s: status.duration_s,
            minutes: status.billed_minutes.or(minutes),
            price: None,
        };
        if !self.add(&status.carrier_call, record).await {
            return;
        }
        // A server that stops is not kept for this.
        let this = Arc::downgrade(&self);
        drop(self);
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            let Some(this) = this.upgrade() else { return };
            if this.ask(&status.carrier_call).await {
                return;
            }
        }
    }

    /// Asks for the carrier's record of a call that is over and writes it down. `false`: it may say more later.
    pub async fn ask(&self, carrier_call: &Id) -> bool {
        let _asking = self.asking.acquire().await;
        let request = self.carrier.ask_record(carrier_call);
        let Ok(body) = self.requests.ask(request, &*self.carrier).await else {
            // The requests have said why.
            return false;
        };
        let record = match self.carrier.record(carrier_call, &body) {
            Ok(record) => record,
            Err(garbled) => {
                let carrier_call = carrier_call.as_str();
                tracing::warn!(event = "carrier.garbled", carrier_call, what = garbled.0);
                return true;
            }
        };
        if !record.is_over {
            return false;
        }
        if let Some(why) = record.unpriced {
            let carrier_call = carrier_call.as_str();
            tracing::warn!(event = "carrier.unpriced", carrier_call, why);
        }
        let told = CarrierRecord {
            duration_s: record.duration_s,
            minutes: record.duration_s.map(|seconds| seconds.div_ceil(60)),
            price: record.price,
        };
        self.add(carrier_call, told).await;
        record.price.is_some() || record.unpriced.is_some()
    }

    /// Adds a record to its call, and compares, unless the call has it already or never was one.
    async fn add(&self, carrier_call: &Id, record: CarrierRecord) -> bool {
        let added = {
            let _alone = self.alone.lock().await;
            self.append(carrier_call, record).await
        };
        match added {
            Ok(Some(call)) => {
                if let Ok(Some(row)) = self.over(&call).await {
                    self.tell(&row, record);
                }
                true
            }
            Ok(None) => false,
            Err(why) => {
                let carrier_call = carrier_call.as_str();
                tracing::warn!(event = "ledger.carrier_record_lost", carrier_call, why);
                false
            }
        }
    }

    async fn append(
        &self,
        carrier_call: &Id,
        record: CarrierRecord,
    ) -> Result<Option<CallId>, String> {
        let told = |error: OpenError| error.to_string();
        let mut books = Books::open(self.ledger.path()).await.map_err(told)?;
        let lines = books.call(carrier_call.as_str()).await.map_err(told)?;
        let Some(first) = lines.first().filter(|first| first.event == "call.opened") else {
            return Ok(None);
        };
        let known = |known: &CarrierRecord| {
            known.duration_s == record.duration_s
                && (record.price.is_none() || known.price == record.price)
        };
        if statement::carrier_records(&lines).iter().any(known) {
            return Ok(None);
        }
        let call = CallId::from(&*first.call);
        let added = self.ledger.carrier_record(&call, &record).await;
        match added {
            Ok(added) => Ok(added.then_some(call)),
            Err(failing) => Err(failing.to_string()),
        }
    }

    /// The call, when it is over for us too; `None`: it is not, for a long time.
    async fn over(&self, call: &CallId) -> Result<Option<CallRow>, OpenError> {
        for _ in 0..LAST_LINE_S {
            let mut books = Books::open(self.ledger.path()).await?;
            let row = books.row(call.as_str()).await?;
            if let Some(row) = row.filter(|row| !row.is_live()) {
                return Ok(Some(row));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(None)
    }

    /// What the carrier bills more than was charged: for its minutes at our price of a minute, and for what else its price holds.
    fn tell(&self, row: &CallRow, record: CarrierRecord) {
        let minutes = record.minutes.unwrap_or(row.minutes);
        let by_minutes = Difference::of(row.minute.times(minutes), row.minute.times(row.minutes));
        let expected = self.rates.price(row, minutes);
        let by_price = Difference::of(record.price.unwrap_or(expected), expected);
        let difference: Difference = [by_minutes, by_price].into_iter().sum();
        let help = match difference == Difference::default() {
            true => "",
            false => {
                "a started minute now and then is the hang-up; a price that differs means that [carrier.*] is not the carrier's price list"
            }
        };
        tracing::info!(
            event = "call.trued_up",
            call = row.call.as_str(),
            carrier_call = row.carrier_call.as_str(),
            agent = row.agent.as_str(),
            spent_usd = %row.cost.spent,
            cap_usd = %row.cap,
            left_usd = %row.cap.less(row.cost.spent),
            duration_s = record.duration_s.unwrap_or_default(),
            billed_minutes = row.minutes,
            carrier_minutes = minutes,
            connection_usd = record.price.map(tracing::field::display),
            difference_usd = %difference.plain(),
            help,
        );
    }
}
