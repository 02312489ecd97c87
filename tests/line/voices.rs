//! A caller's voice comes back as it went in: human speech, out to the model and home again.

use super::house::{House, plan, says_and_hangs_up};
use super::sound::{clicks, find, longest_hole, through_telephone, trimmed};
use ringfence::sim::phone::wav;
use std::path::Path;

/// Speech of three seconds and more without a long pause: several people, two languages. The Debian packages are
/// asterisk-core-sounds-en-wav, asterisk-core-sounds-es-wav and pocketsphinx-testdata.
const RECORDINGS: [&str; 8] = [
    "asterisk/sounds/en_US_f_Allison/agent-alreadyon.wav",
    "asterisk/sounds/en_US_f_Allison/vm-intro.wav",
    "asterisk/sounds/es_MX_f_Allison/agent-newlocation.wav",
    "asterisk/sounds/es_MX_f_Allison/auth-incorrect.wav",
    "pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0890.wav",
    "pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0920.wav",
    "pocketsphinx/test/data/cards/005.wav",
    "pocketsphinx/test/data/numbers.raw",
];

/// A name and what is said.
type Recording = (&'static str, Vec<i16>);

/// The recordings, as a telephone carries them. Where they are not installed there is nothing to test, but CI must have them.
fn recordings() -> Option<Vec<Recording>> {
    let read = |name: &'static str| {
        let path = Path::new("/usr/share").join(name);
        let sound = if name.ends_with(".raw") {
            wav::read_raw_16k(&path)
        } else {
            wav::read(&path)
        };
        Ok((name, through_telephone(trimmed(&sound?))))
    };
    match RECORDINGS
        .into_iter()
        .map(read)
        .collect::<Result<_, String>>()
    {
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

/// Says every recording in a call of its own, all at once, and gives back what each caller heard after the greeting.
async fn parroted(audio: &str, recordings: &[Recording]) -> Vec<Vec<i16>> {
    let patient = [
        ("audio", audio),
        ("turn_detection.silence_duration_ms", "700"),
    ];
    let house = House::open(&plan("greeting=600ms latency=200ms", &patient)).await;
    let calls = recordings.iter().map(|(name, sound)| {
        let mut setup = house.world.phone();
        setup.script = says_and_hangs_up(sound);
        let house = &house;
        async move {
            let (report, summary) = house.call(setup).await;
            assert!(
                report.violations.is_empty(),
                "{name}: {:#?}",
                report.timeline
            );
            assert!(report.clears.is_empty(), "{name} was cut short");
            assert_eq!(
                summary.turns, 2,
                "{name} was taken for several turns, or for none"
            );
            report.heard
        }
    });
    let heard = futures_util::future::join_all(calls).await;
    house.books_agree().await;
    house.world.stop().await;
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn human_speech_comes_back_the_same_as_loud_and_without_gap_or_click() {
    let Some(recordings) = recordings() else {
        return;
    };
    let heard = parroted("pcm16", &recordings).await;
    for ((name, said), heard) in recordings.iter().zip(&heard) {
        let found = find(said, heard).expect(name);
        let own = &heard[found.at..found.at + said.len()];
        let (clicks, hole) = (clicks(said, own), longest_hole(said, own));
        println!("{name}: {found:?}, clicks {clicks:.2}, hole {hole}");
        assert!(found.correlation >= 0.95, "{name}: {found:?}");
        assert!(found.louder_db.abs() <= 1.0, "{name}: {found:?}");
        assert!(
            clicks < 2.0,
            "{name}: {clicks} times as much bending at the joints of frames"
        );
        assert!(hole < 80, "{name}: {hole} samples of silence within speech");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_speaks_the_telephones_format_gets_and_gives_every_bit_of_it() {
    let Some(recordings) = recordings() else {
        return;
    };
    let heard = parroted("pcmu", &recordings).await;
    for ((name, said), heard) in recordings.iter().zip(&heard) {
        let found = find(said, heard).expect(name);
        let own = &heard[found.at..found.at + said.len()];
        let other = said.iter().zip(own).filter(|(s, h)| s != h).count();
        assert_eq!(
            other,
            0,
            "{name}: {other} of {} samples differ; {found:?}",
            said.len()
        );
    }
}
