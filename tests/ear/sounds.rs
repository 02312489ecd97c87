//! What the ear is tested with: people and music from packages, and sounds made by arithmetic.

use ringfence::audio::g711::Law;
use ringfence::sim::phone::wav;
use std::f64::consts::TAU;
use std::path::Path;

/// Samples in a frame of 20 ms.
pub const FRAME: usize = 160;

/// Where Debian's asterisk-core-sounds-en-wav, asterisk-core-sounds-es-wav and pocketsphinx-testdata put people, and
/// asterisk-moh-opsound-wav puts music.
const SHARE: &str = "/usr/share";
const ENGLISH: (&str, &[&str]) = (
    "asterisk/sounds/en_US_f_Allison",
    &[
        "agent-alreadyon.wav",
        "agent-newlocation.wav",
        "all-circuits-busy-now.wav",
        "call-fwd-no-ans.wav",
        "cannot-complete-as-dialed.wav",
        "check-number-dial-again.wav",
        "conf-getpin.wav",
        "conf-invalidpin.wav",
        "demo-abouttotry.wav",
        "demo-echotest.wav",
        "demo-nogo.wav",
        "dir-nomatch.wav",
        "im-sorry.wav",
        "please-try-again.wav",
        "pls-hold-while-try.wav",
        "queue-thankyou.wav",
        "vm-intro.wav",
        "vm-mailboxfull.wav",
        "vm-incorrect-mailbox.wav",
        "something-terribly-wrong.wav",
    ],
);
const SPANISH: (&str, &[&str]) = (
    "asterisk/sounds/es_MX_f_Allison",
    &[
        "agent-alreadyon.wav",
        "agent-newlocation.wav",
        "agent-incorrect.wav",
        "auth-incorrect.wav",
        "conf-getpin.wav",
        "conf-invalidpin.wav",
        "demo-abouttotry.wav",
        "demo-echotest.wav",
        "demo-nogo.wav",
        "dir-nomatch.wav",
        "vm-intro.wav",
        "vm-incorrect-mailbox.wav",
        "queue-thankyou.wav",
        "vm-goodbye.wav",
    ],
);
const OTHERS: (&str, &[&str]) = (
    "pocketsphinx/test/data",
    &[
        "librivox/sense_and_sensibility_01_austen_64kb-0870.wav",
        "librivox/sense_and_sensibility_01_austen_64kb-0880.wav",
        "librivox/sense_and_sensibility_01_austen_64kb-0890.wav",
        "librivox/sense_and_sensibility_01_austen_64kb-0920.wav",
        "librivox/sense_and_sensibility_01_austen_64kb-0930.wav",
        "cards/001.wav",
        "cards/003.wav",
        "cards/004.wav",
        "cards/005.wav",
        "goforward.raw",
        "numbers.raw",
        "something.raw",
    ],
);
const MUSIC: (&str, &[&str]) = (
    "asterisk/moh",
    &[
        "macroform-cold_day.wav",
        "macroform-robot_dity.wav",
        "macroform-the_simplicity.wav",
        "manolo_camp-morning_coffee.wav",
        "reno_project-system.wav",
    ],
);

/// A name and its sound.
type Recording = (String, Vec<i16>);

/// People who speak; `None`, with the reason printed, where they are not installed. CI must have them.
pub fn people() -> Option<Vec<Recording>> {
    installed(&[ENGLISH, SPANISH, OTHERS])
}

/// Music to wait by.
pub fn music() -> Option<Vec<Recording>> {
    installed(&[MUSIC])
}

fn installed(folders: &[(&str, &[&str])]) -> Option<Vec<Recording>> {
    let all = folders
        .iter()
        .flat_map(|(folder, names)| names.iter().map(move |name| format!("{folder}/{name}")));
    let read = |name: String| {
        let path = Path::new(SHARE).join(&name);
        let sound = if name.ends_with(".raw") {
            wav::read_raw_16k(&path)
        } else {
            wav::read(&path)
        };
        sound.map(|sound| (name, sound))
    };
    match all.map(read).collect::<Result<_, String>>() {
        Ok(recordings) => Some(recordings),
        Err(missing) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "{missing}: ./test installs it"
            );
            println!("skipped, for a recording is not installed: {missing}");
            None
        }
    }
}

/// As a telephone carries it.
pub fn telephone(sound: &[i16]) -> Vec<u8> {
    let mut codes = Vec::new();
    Law::Mu.encode_all(sound, &mut codes);
    codes
}

pub fn silence(ms: u64) -> Vec<i16> {
    vec![0; 8 * ms as usize]
}

/// The millisecond from which on 30 ms are each no more than 20 dB softer than the loudest, and above -45 dB.
pub fn begins(sound: &[i16]) -> u64 {
    let levels: Vec<f64> = sound.chunks(80).map(rms).collect();
    let loudest = levels.iter().copied().fold(0.0, f64::max);
    let loud = |level: &f64| *level > (loudest / 10.0).max(184.0);
    let at = levels.windows(3).position(|three| three.iter().all(loud));
    10 * at.expect("a sound") as u64
}

fn rms(sound: &[i16]) -> f64 {
    let sum: f64 = sound.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / sound.len().max(1) as f64).sqrt()
}

/// The same sound with this root mean square, in dB below full scale, where it is not silent.
pub fn at_level(sound: &[i16], db: f64) -> Vec<i16> {
    let heard: Vec<i16> = sound
        .chunks(FRAME)
        .filter(|f| rms(f) > 184.0)
        .flatten()
        .copied()
        .collect();
    scaled(sound, 32768.0 * 10_f64.powf(db / 20.0) / rms(&heard))
}

fn scaled(sound: &[i16], gain: f64) -> Vec<i16> {
    let loud = |sample: &i16| (f64::from(*sample) * gain).round().clamp(-32768.0, 32767.0) as i16;
    sound.iter().map(loud).collect()
}

/// What a telephone gives back of a sound.
pub fn echo(sound: &[i16], db: f64, delay_ms: u64) -> Vec<i16> {
    [
        silence(delay_ms),
        scaled(sound, 10_f64.powf(db / 20.0)),
        silence(500),
    ]
    .concat()
}

/// Tones at once, as loud together as this, in dB below full scale.
pub fn chord(tones: &[f64], ms: u64, db: f64) -> Vec<i16> {
    let peak = 32768.0 * 10_f64.powf(db / 20.0) * (2.0 / tones.len() as f64).sqrt();
    let at = |n: u64| {
        tones
            .iter()
            .map(|hz| (TAU * hz * n as f64 / 8000.0).sin())
            .sum::<f64>()
    };
    (0..8 * ms).map(|n| (peak * at(n)).round() as i16).collect()
}

/// Numbers between -1 and 1 that look like chance and are the same every time.
fn chance() -> impl Iterator<Item = f64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    })
}

pub fn white(ms: u64, db: f64) -> Vec<i16> {
    // Evenly spread numbers have a root mean square of a third's root.
    let peak = 32768.0 * 10_f64.powf(db / 20.0) * 3_f64.sqrt();
    chance()
        .take(8 * ms as usize)
        .map(|x| (peak * x).round() as i16)
        .collect()
}

/// Noise with as much energy in each octave, by Paul Kellet's filter.
pub fn pink(ms: u64, db: f64) -> Vec<i16> {
    let mut b = [0.0; 3];
    let filtered = chance().take(8 * ms as usize).map(|x| {
        b[0] = 0.99765 * b[0] + x * 0.099_046;
        b[1] = 0.963 * b[1] + x * 0.296_516_4;
        b[2] = 0.57 * b[2] + x * 1.052_691_3;
        (3000.0 * (b.iter().sum::<f64>() + x * 0.1848) / 4.0).round() as i16
    });
    let sound: Vec<i16> = filtered.collect();
    let gain = 32768.0 * 10_f64.powf(db / 20.0) / rms(&sound);
    scaled(&sound, gain)
}

/// A cough has no voice: a burst of noise that rises within 10 ms and dies away, its middle frequencies the strongest.
fn cough(ms: u64) -> Vec<i16> {
    let (mut low, mut band) = (0.0, 0.0);
    let samples = 8 * ms;
    let burst = chance().take(samples as usize).zip(0..).map(|(x, n)| {
        let high = x - low - 0.8 * band;
        band += 0.7 * high;
        low += 0.7 * band;
        let rise = (n as f64 / 80.0).min(1.0);
        let fall = (-3.0 * n as f64 / samples as f64).exp();
        (9000.0 * rise * fall * band).clamp(-32768.0, 32767.0) as i16
    });
    burst.collect()
}

pub fn coughs() -> Vec<i16> {
    let each = [150, 200, 250, 300].map(|ms| [silence(1500), cough(ms)].concat());
    [each.concat(), silence(1500)].concat()
}

/// A click each 70 ms, as a bad contact makes them.
pub fn clicks() -> Vec<i16> {
    let mut sound = silence(10_000);
    for (at, place) in sound.iter_mut().enumerate() {
        if at % 560 < 4 {
            *place = if at % 2 == 0 { 20_000 } else { -20_000 };
        }
    }
    sound
}
