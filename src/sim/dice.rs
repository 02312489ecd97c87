//! Chance that repeats itself: the same seed gives the same numbers on every machine and in every version.
//!
//! A simulated line must jitter, and a test that fails must fail again. The generators of `rand` promise no stable
//! sequence between versions, so this is SplitMix64 (Steele, Lea and Flood, 2014), which fits in five lines.

/// A seeded sequence of numbers.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// The next number, any of 2^64.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from zero to `most`, both included.
    pub fn up_to(&mut self, most: u64) -> u64 {
        self.roll() % most.saturating_add(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_sequence_of_a_seed_is_the_published_one() {
        let mut dice = Dice::new(1_234_567);
        assert_eq!(dice.roll(), 6_457_827_717_110_365_317);
        assert_eq!(dice.roll(), 3_203_168_211_198_807_973);
        assert!((0..100).all(|_| dice.up_to(3) <= 3));
        assert_eq!(dice.up_to(0), 0);
    }
}
