//! Random numbers, and what random calls may do.

use ringfence::call::rules::{
    Abilities, Cap, Destination, Edge, Manner, Margins, OnMachine, Renewal, Rules, TransferCap,
};
use ringfence::call::tools::Tool;
use ringfence::pricing::{ModelPrice, TranscriptionPrice};
use ringfence::units::{Phone, Usd};

/// Whom callers may be handed over to.
pub const SALES: &str = "+15005550009";

/// SplitMix64: a generator small enough to be read, so that a seed means the same call for ever.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

pub fn random_rules(random: &mut Random) -> Rules {
    let end = Usd::from_micros(20_000 + random.below(1_000_000));
    let duration_end = 5_000 + random.below(400_000);
    let silence_end = 2_000 + random.below(60_000);
    let audio = 10_000 + random.below(30_000);
    Rules {
        spend: Cap {
            warn: Usd::from_nanos(end.nanos() / 10 * random.below(10)),
            end,
        },
        duration_ms: Cap {
            warn: random.below(duration_end),
            end: duration_end,
        },
        silence_ms: Cap {
            warn: random.below(silence_end),
            end: silence_end,
        },
        greeting: if random.chance(50) {
            "Greet.".into()
        } else {
            "".into()
        },
        goodbye: "Say goodbye.".into(),
        goodbye_sentence: "Goodbye.".into(),
        trouble_sentence: "Sorry.".into(),
        max_output_tokens: 160 + random.below(4_000) as u32,
        settings_tokens: random.below(2_000),
        prefix_padding_ms: 300,
        provider_interrupts: random.chance(50),
        lead_ms: 200 + random.below(200),
        message_ms: 100 + random.below(100),
        model: random_price(audio),
        transcription: random_transcription(random),
        minute: Usd::from_micros(random.below(30_000)),
        say: Usd::from_micros(random.below(3_000)),
        fee: Usd::from_micros(random.below(20_000).saturating_sub(10_000)),
        answer_timeout_ms: 1_000 + random.below(8_000),
        edge: Edge {
            tell: random.chance(80),
            shorten: random.chance(80),
            shrink: random.chance(80),
            cheaper: random.chance(80),
            min_output_tokens: 160 + random.below(3) as u32 * 100,
        },
        context_tokens: 500 + random.below(4_000),
        words_tokens: random.below(2) * random.below(16_000),
        keep_turns: random.below(4) as u32,
        model_name: "main".into(),
        abilities: random_abilities(random),
        manner: Manner {
            confirm: random.chance(30),
            hold: random.chance(30),
            on_machine: random.pick(&[OnMachine::HangUp, OnMachine::Talk]),
            transcript: random.chance(30),
            coalesce_ms: random.pick(&[0, 40, 100]),
        },
        renewal: Renewal {
            after_ms: random.chance(30).then(|| 1_000 + random.below(60_000)),
            max_tokens: random.below(1_500),
        },
        out_of_band: random.chance(80),
        moment_ms: 1_200,
        margins: Margins::default(),
    }
}

/// Another of the agent's models: the same caps, other prices.
pub fn another(first: &Rules, random: &mut Random) -> Rules {
    let other = random_rules(random);
    Rules {
        model: other.model,
        transcription: other.transcription,
        settings_tokens: other.settings_tokens,
        max_output_tokens: other.max_output_tokens,
        model_name: "other".into(),
        ..first.clone()
    }
}

fn random_abilities(random: &mut Random) -> Abilities {
    if random.chance(40) {
        return Abilities::default();
    }
    let tool = Tool {
        name: "look-up".to_string(),
        price: Usd::from_micros(random.below(2) * random.below(20_000)),
        timeout_ms: 100 + random.below(5_000),
    };
    let destination = Destination {
        label: "sales".into(),
        to: Phone::from(SALES),
        minute: Usd::from_micros(random.below(40_000)),
    };
    Abilities {
        tools: vec![tool],
        end_call: random.chance(60),
        send_digits: random.chance(60),
        most_calls: random.below(12) as u32,
        is_transfer_offered: random.chance(80),
        destinations: if random.chance(60) {
            vec![destination]
        } else {
            Vec::new()
        },
        transfer: TransferCap {
            minutes: random.below(20),
            usd: Usd::from_micros(random.below(600_000)),
        },
        fallback: random.chance(50).then(|| "sales".into()),
        transfer_sentence: if random.chance(50) {
            "One moment.".into()
        } else {
            "".into()
        },
    }
}

fn random_price(audio: u64) -> ModelPrice {
    ModelPrice {
        text_in: audio / 8,
        cached_text: audio / 80,
        audio_in: audio,
        cached_audio: audio / 80,
        image_in: audio / 6,
        cached_image: audio / 60,
        text_out: audio,
        audio_out: audio * 2,
    }
}

fn random_transcription(random: &mut Random) -> Option<TranscriptionPrice> {
    match random.below(3) {
        0 => None,
        1 => Some(TranscriptionPrice::PerMinute(Usd::from_micros(
            random.below(20_000),
        ))),
        _ => Some(TranscriptionPrice::Tokens {
            text_in: 1_250,
            audio_in: 3_000,
            text_out: 5_000,
        }),
    }
}
