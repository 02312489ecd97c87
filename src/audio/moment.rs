//! placeholder until merged
/// x
pub fn moment() -> &'static [u8] {
    &[0xff; 8000]
}
