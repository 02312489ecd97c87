//! (to come)
use super::*;
/// to come
pub struct OpenAi;
impl OpenAi {
    /// to come
    pub fn new(_: Arc<Session>) -> Self {
        OpenAi
    }
}
impl Dialect for OpenAi {
    fn address(&self) -> Address {
        unreachable!()
    }
    fn format(&self) -> Format {
        unreachable!()
    }
    fn read(&mut self, _: &str, _: &mut Vec<u8>) -> Result<Option<Event>, Garbled> {
        unreachable!()
    }
    fn closed(&mut self, _: Option<u16>, _: &str) -> Loss {
        unreachable!()
    }
    fn refused(&self, _: u16) -> Loss {
        unreachable!()
    }
    fn write(&mut self, _: &Command, _: &[u8], _: &mut dyn FnMut(&str)) {
        unreachable!()
    }
}
