//! (to come)
use super::*;
/// to come
pub struct Twilio;
impl Twilio {
    /// to come
    pub fn new(_: Settings) -> Self {
        Twilio
    }
}
impl Carrier for Twilio {
    fn offer(&self, _: Request<'_>) -> Result<Offer, Unwelcome> {
        unreachable!()
    }
    fn ended(&self, _: Request<'_>) -> Result<Id, Unwelcome> {
        unreachable!()
    }
    fn status(&self, _: Request<'_>) -> Result<Status, Unwelcome> {
        unreachable!()
    }
    fn handshake(&self, _: Request<'_>) -> Result<(), Forged> {
        unreachable!()
    }
    fn connect(&self, _: &str) -> Document {
        unreachable!()
    }
    fn reject(&self) -> Document {
        unreachable!()
    }
    fn redirect(&self, _: &str) -> Document {
        unreachable!()
    }
    fn farewell(&self, _: Option<&str>) -> Document {
        unreachable!()
    }
    fn rest(&self, _: &Id, _: &Command) -> Option<RestRequest> {
        unreachable!()
    }
    fn rest_outcome(&self, _: u16, _: &str) -> RestOutcome {
        unreachable!()
    }
    fn stream(&self, _: &Id) -> Box<dyn Stream> {
        unreachable!()
    }
}
