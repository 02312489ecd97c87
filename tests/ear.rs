//! Our own ear, against recordings of people and of hold music, and against sounds that are neither.
//!
//! What an ear is worth shows on real sound only: many speakers, two languages, five pieces of music, each as a telephone
//! carries it. What can be described exactly (tones, noise, hum, an echo) is made here.

#[path = "ear/sounds.rs"]
mod sounds;

use ringfence::audio::Format;
use ringfence::audio::ear::{Ear, EarSettings, Heard, Hold};
use sounds::*;

/// What an ear told, each with the millisecond of the caller's sound at which it did.
type Told = Vec<(u64, Heard)>;

/// What the ear tells of this sound.
fn told(caller: &[i16]) -> Told {
    over(caller, &[])
}

/// What the ear tells of this sound while we play another, sent ahead by 300 ms as the bridge does.
fn over(caller: &[i16], ours: &[i16]) -> Told {
    let mut ear = Ear::new(Format::Pcmu, EarSettings::default());
    let (caller, ours) = (telephone(caller), telephone(ours));
    let mut frames = ours.chunks(FRAME);
    frames.by_ref().take(15).for_each(|frame| ear.played(frame));
    let mut told = Vec::new();
    for (n, frame) in caller.chunks(FRAME).enumerate() {
        if let Some(sent) = frames.next() {
            ear.played(sent);
        }
        ear.hear(frame, &mut |heard| told.push((20 * (n as u64 + 1), heard)));
    }
    told
}

fn holds(told: &Told) -> Vec<(u64, Hold)> {
    let kind = |&(at, heard): &(u64, Heard)| match heard {
        Heard::Hold(kind) => Some((at, kind)),
        Heard::Speech | Heard::Quiet => None,
    };
    told.iter().filter_map(kind).collect()
}

fn first_speech(told: &Told, from: u64) -> Option<u64> {
    let speech = told
        .iter()
        .find(|(at, heard)| *at > from && *heard == Heard::Speech);
    speech.map(|(at, _)| *at)
}

#[test]
fn people_are_heard_within_six_tenths_of_a_second_and_never_taken_for_music() {
    let Some(recordings) = people() else { return };
    assert!(recordings.len() >= 40, "{}", recordings.len());
    let mut delays = Vec::new();
    for (name, speech) in &recordings {
        let sound = [&silence(500), &speech[..], &silence(1500)].concat();
        let told = told(&sound);
        assert_eq!(holds(&told), [], "{name}");
        let delay = first_speech(&told, 0).map(|at| at.saturating_sub(begins(&sound)));
        assert!(delay.is_some(), "{name} was not heard");
        assert_eq!(
            told.last().map(|(_, heard)| *heard),
            Some(Heard::Quiet),
            "{name}"
        );
        delays.extend(delay);
    }
    delays.sort_unstable();
    let soon = delays.iter().filter(|delay| **delay <= 600).count();
    let (middle, last) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    println!(
        "{soon} of {} within 600 ms; half within {middle} ms, all within {last} ms",
        delays.len()
    );
    assert!(
        soon * 100 >= delays.len() * 95,
        "{soon} of {}",
        delays.len()
    );
}

#[test]
fn people_who_talk_for_minutes_are_not_put_on_hold() {
    let Some(recordings) = people() else { return };
    let talk: Vec<i16> = recordings
        .iter()
        .flat_map(|(_, speech)| [speech, &silence(200)[..]].concat())
        .collect();
    assert_eq!(holds(&told(&talk)), []);
}

#[test]
fn music_is_a_hold_within_six_seconds_and_remains_one() {
    let Some(pieces) = music() else { return };
    assert!(pieces.len() >= 5, "{}", pieces.len());
    let (mut minutes, mut resumes, mut speeches) = (0.0, 0, Vec::new());
    for (name, piece) in &pieces {
        let piece = &piece[..piece.len().min(120 * 8000)];
        assert!(piece.len() >= 30 * 8000, "{name} is short");
        let told = told(piece);
        let (held, kind) = holds(&told)[0];
        assert_eq!(kind, Hold::Music, "{name}");
        let after = held.saturating_sub(begins(piece));
        assert!(after <= 6000, "{name}: {after} ms");
        let (mut speech, mut since) = (0, None);
        let end = (piece.len() as u64 / 8, Heard::Hold(Hold::Music));
        for (at, heard) in told.iter().chain([&end]).filter(|(at, _)| *at > held) {
            match (heard, since) {
                (Heard::Speech, _) => {
                    resumes += 1;
                    since = Some(*at);
                }
                (Heard::Hold(_), Some(from)) => {
                    speech += at - from;
                    since = None;
                }
                _ => {}
            }
        }
        println!("{name}: a hold after {after} ms, taken for speech for {speech} ms");
        speeches.push((name, speech, end.0 - held));
        minutes += (end.0 - held) as f64 / 60_000.0;
    }
    println!("{resumes} false resumes in {minutes:.1} minutes");
    for (name, speech, held) in speeches {
        assert!(speech * 20 <= held, "{name}: {speech} of {held} ms");
    }
    assert!(f64::from(resumes) <= minutes);
}

#[test]
fn a_person_who_ends_the_music_is_heard_soon() {
    let (Some(pieces), Some(recordings)) = (music(), people()) else {
        return;
    };
    let (mut soon, mut all) = (0, 0);
    for (n, (name, speech)) in recordings.iter().enumerate() {
        let (_, piece) = &pieces[n % pieces.len()];
        let piece = &piece[8000 * (10 + n % 15)..][..8000 * 12];
        let sound = [piece, &speech[..], &silence(1000)].concat();
        let told = told(&sound);
        let begins = 12_000 + begins(speech);
        let before = told.iter().rfind(|(at, _)| *at < begins);
        if !matches!(before, Some((_, Heard::Hold(_)))) {
            continue;
        }
        all += 1;
        let heard = first_speech(&told, begins);
        assert!(heard.is_some(), "{name} was not heard");
        soon += usize::from(heard.is_some_and(|at| at <= begins + 600));
    }
    println!("{soon} of {all} ended the music within 600 ms");
    assert!(all >= 35 && soon * 10 >= all * 9, "{soon} of {all}");
}

#[test]
fn ringing_and_fax_machines_are_told_apart_from_other_tones() {
    let on_off = |tones: &[f64], beats: &[u64]| -> Vec<i16> {
        let sound = |(n, &ms): (usize, &u64)| {
            if n % 2 == 0 {
                chord(tones, ms, -20.0)
            } else {
                silence(ms)
            }
        };
        let bar: Vec<i16> = beats.iter().enumerate().flat_map(sound).collect();
        [silence(300), bar.repeat(4)].concat()
    };
    let kinds = [
        (
            "North America",
            on_off(&[440.0, 480.0], &[2000, 4000]),
            Hold::Ringback,
            4000,
        ),
        (
            "Europe",
            on_off(&[425.0], &[1000, 4000]),
            Hold::Ringback,
            4000,
        ),
        (
            "Britain",
            on_off(&[400.0, 450.0], &[400, 200, 400, 2000]),
            Hold::Ringback,
            4000,
        ),
        (
            "a calling fax",
            on_off(&[1100.0], &[500, 3000]),
            Hold::Fax,
            2200,
        ),
        (
            "an answering fax",
            on_off(&[2100.0], &[3000, 500]),
            Hold::Fax,
            2200,
        ),
    ];
    for (name, sound, kind, most) in kinds {
        let told = told(&sound);
        println!("{name}: {told:?}");
        assert!(
            matches!(told[..], [(at, Heard::Hold(k))] if k == kind && at <= most),
            "{name}: {told:?}"
        );
    }
    let others = [
        ("an engaged tone", on_off(&[425.0], &[500, 500])),
        (
            "an engaged tone of North America",
            on_off(&[480.0, 620.0], &[500, 500]),
        ),
        ("a dial tone", on_off(&[425.0], &[10_000, 100])),
        ("a pressed key", on_off(&[770.0, 1336.0], &[200, 300])),
    ];
    for (name, sound) in others {
        assert_eq!(told(&sound), [], "{name}");
    }
}

#[test]
fn coughs_clicks_noise_and_hum_are_nothing() {
    let sounds = [
        ("coughs of 150 to 300 ms", coughs()),
        ("clicks", clicks()),
        ("white noise at -50 dB", white(20_000, -50.0)),
        ("white noise at -40 dB", white(20_000, -40.0)),
        ("pink noise at -50 dB", pink(20_000, -50.0)),
        ("pink noise at -40 dB", pink(20_000, -40.0)),
        (
            "hum of 50 Hz",
            chord(&[50.0, 100.0, 150.0, 250.0], 20_000, -35.0),
        ),
        (
            "hum of 60 Hz",
            chord(&[60.0, 120.0, 180.0, 300.0], 20_000, -35.0),
        ),
        ("silence", silence(5000)),
    ];
    for (name, sound) in sounds {
        assert_eq!(told(&sound), [], "{name}");
    }
}

#[test]
fn a_spoken_yes_of_a_third_of_a_second_counts() {
    let Some(recordings) = people() else { return };
    let mut heard = 0;
    for (_, speech) in &recordings {
        // The beginning of what they say stands for a word: it is cut off after 350 ms.
        let from = begins(speech) as usize * 8;
        let word = [&silence(500), &speech[from..from + 2800], &silence(1000)].concat();
        heard += usize::from(first_speech(&told(&word), 0).is_some());
    }
    println!("{heard} of {} words of 350 ms", recordings.len());
    assert!(
        heard * 100 >= recordings.len() * 80,
        "{heard} of {}",
        recordings.len()
    );
}

#[test]
fn our_own_voice_coming_back_is_not_the_caller() {
    let Some(recordings) = people() else { return };
    for (n, chunk) in recordings.chunks(4).enumerate() {
        let ours: Vec<i16> = chunk
            .iter()
            .flat_map(|(_, speech)| at_level(speech, -18.0))
            .collect();
        for db in [-15.0, -20.0, -30.0] {
            for delay in [60, 180, 300] {
                let told = over(&echo(&ours, db, delay), &ours);
                assert_eq!(told, [], "{n}: {db} dB after {delay} ms");
            }
        }
    }
}

#[test]
fn a_caller_who_talks_over_us_is_heard() {
    let Some(recordings) = people() else { return };
    let (mut soon, mut all) = (0, 0);
    for (n, (name, speech)) in recordings.iter().enumerate() {
        let next = (1..=6).flat_map(|k| at_level(&recordings[(n + k) % recordings.len()].1, -20.0));
        let ours: Vec<i16> = next.collect();
        for db in [-15.0, -30.0] {
            let mut sound = echo(&ours, db, 120);
            sound.resize(sound.len().max(4000 * 8 + speech.len()), 0);
            let caller = at_level(speech, -18.0);
            for (place, sample) in sound[4000 * 8..].iter_mut().zip(&caller) {
                *place = place.saturating_add(*sample);
            }
            let told = over(&sound, &ours);
            let begins = 4000 + begins(&caller);
            all += 1;
            match first_speech(&told, 0) {
                Some(at) if at <= begins + 800 => soon += 1,
                other => println!("{name} at {db} dB: {other:?}, began at {begins}"),
            }
        }
    }
    println!("{soon} of {all} within 800 ms");
    assert!(soon * 100 >= all * 90, "{soon} of {all}");
}

#[test]
fn what_was_thrown_away_is_no_longer_guarded_against() {
    let Some(recordings) = people() else { return };
    let (_, speech) = &recordings[0];
    let loud = telephone(&chord(&[300.0, 700.0], 5000, -3.0));
    let caller = telephone(&[&silence(700), &at_level(speech, -25.0)[..]].concat());
    let heard = |cleared: bool| {
        let mut ear = Ear::new(Format::Pcmu, EarSettings::default());
        ear.played(&loud);
        if cleared {
            ear.cleared();
        }
        let mut told = Vec::new();
        ear.hear(&caller[..caller.len().min(8 * 2500)], &mut |heard| {
            told.push(heard)
        });
        told.contains(&Heard::Speech)
    };
    assert!(heard(true));
    assert!(!heard(false));
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let (Some(pieces), Some(recordings)) = (music(), people()) else {
        return;
    };
    let sound = [
        &recordings[0].1[..],
        &silence(1000),
        &pieces[0].1[..8000 * 10],
        &recordings[0].1[..],
    ]
    .concat();
    let with = |hold, confirm| {
        let settings = EarSettings {
            hold,
            confirm,
            ..EarSettings::default()
        };
        let mut ear = Ear::new(Format::Pcmu, settings);
        let mut told = Vec::new();
        // All at once: pieces may have any size.
        ear.hear(&telephone(&sound), &mut |heard| told.push(heard));
        told
    };
    let music = Heard::Hold(Hold::Music);
    assert_eq!(with(true, false), [music, Heard::Speech]);
    assert!(!with(false, true).contains(&music));
    assert_eq!(with(false, false), []);
}
