//! Claims about the media stream: frames as Twilio sends them, and what the call hears of them.
//!
//! Frames are told as JSON, sound as its length and its bytes, for this is the one place that sees both.

use super::*;
use proptest::prelude::*;

const START: &str = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"streamSid":"MZ1","accountSid":"AC1","callSid":"CA1","tracks":["inbound"],"customParameters":{"from":"x"},"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}"#;

fn fresh() -> Media {
    Media::new("AC1".to_string(), Id::from("CA1"))
}

fn started() -> Media {
    let mut stream = fresh();
    assert_eq!(
        stream.read(START, &mut Vec::new()),
        Ok(Some(Event::Started))
    );
    stream
}

fn media(timestamp: u64, sound: &[u8]) -> String {
    let payload = STANDARD.encode_to_string(sound);
    format!(
        r#"{{"event":"media","sequenceNumber":"2","streamSid":"MZ1","media":{{"track":"inbound","chunk":"1","timestamp":"{timestamp}","payload":"{payload}"}}}}"#
    )
}

/// What a stream makes of frames of 20 ms with these stamps: the milliseconds told of, 0 for none, and all the sound.
fn hear(stamps: &[u64]) -> (Vec<u64>, Vec<u8>) {
    let (mut stream, mut sound) = (started(), Vec::new());
    let told =
        stamps.iter().map(
            |&stamp| match stream.read(&media(stamp, &[0x55; 160]), &mut sound) {
                Ok(Some(Event::Heard { ms })) => ms,
                Ok(None) => 0,
                other => panic!("{other:?}"),
            },
        );
    (told.collect(), sound)
}

fn written(stream: &mut Media, command: &Command, sound: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    stream.write(command, sound, &mut |frame| frames.push(frame.to_string()));
    frames
}

const MARK: Mark = Mark {
    item: 3,
    until_ms: 400,
    generation: 2,
};

#[test]
fn a_stream_from_its_greeting_to_its_end() {
    let (mut stream, mut sound) = (fresh(), Vec::new());
    for (frame, expected) in [
        (
            r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
            None,
        ),
        (START, Some(Event::Started)),
        (&media(5, &[1; 160]), Some(Event::Heard { ms: 20 })),
        (&media(25, &[2; 160]), Some(Event::Heard { ms: 20 })),
        (
            r#"{"event":"dtmf","sequenceNumber":"9","streamSid":"MZ1","dtmf":{"track":"inbound_track","digit":"5"}}"#,
            Some(Event::Digit('5')),
        ),
        (
            r#"{"event":"mark","sequenceNumber":"12","streamSid":"MZ1","mark":{"name":"3:400:g2"}}"#,
            Some(Event::Played(MARK)),
        ),
        (
            r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"somebody's"}}"#,
            None,
        ),
        (
            r#"{"event":"stop","sequenceNumber":"99","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}"#,
            Some(Event::Stopped),
        ),
    ] {
        assert_eq!(stream.read(frame, &mut sound), Ok(expected), "{frame}");
    }
    assert_eq!(sound, [[1; 160], [2; 160]].concat());
}

#[test]
fn a_stream_must_be_the_one_that_was_promised() {
    for (from, to) in [
        ("CA1", "CA2"),
        (r#""accountSid":"AC1""#, r#""accountSid":"AC2""#),
        (r#""accountSid":"AC1","#, ""),
        ("audio/x-mulaw", "audio/x-l16"),
        ("8000", "16000"),
        (r#""channels":1"#, r#""channels":2"#),
        (r#""sampleRate":8000,"#, ""),
        ("MZ1", ""),
        (r#""start":{"#, r#""begin":{"#),
    ] {
        let frame = START.replace(from, to);
        let outcome = fresh().read(&frame, &mut Vec::new());
        assert!(outcome.is_err(), "{from} -> {to}: {outcome:?}");
    }
    let mut anyones = Media::new(String::new(), Id::from("CA1"));
    let other = START.replace("AC1", "AC2");
    assert_eq!(
        anyones.read(&other, &mut Vec::new()),
        Ok(Some(Event::Started))
    );
    assert!(started().read(START, &mut Vec::new()).is_err());
}

#[test]
fn nothing_is_heard_of_a_stream_that_has_not_said_whose_it_is() {
    let mut sound = Vec::new();
    for frame in [
        &*media(5, &[1; 160]),
        r#"{"event":"dtmf","dtmf":{"digit":"5"}}"#,
        r#"{"event":"mark","mark":{"name":"1:1:g0"}}"#,
    ] {
        assert!(fresh().read(frame, &mut sound).is_err(), "{frame}");
    }
    assert!(sound.is_empty());
}

#[test]
fn numbers_may_be_strings_and_strings_numbers() {
    let start = START
        .replace("8000", r#""8000""#)
        .replace(r#""sequenceNumber":"1""#, r#""sequenceNumber":1"#);
    let (mut stream, mut sound) = (fresh(), Vec::new());
    assert_eq!(stream.read(&start, &mut sound), Ok(Some(Event::Started)));
    let frame = r#"{"event":"media","sequenceNumber":2,"media":{"chunk":1,"timestamp":5,"payload":"VVVVVVVVVVU="}}"#;
    assert_eq!(
        stream.read(frame, &mut sound),
        Ok(Some(Event::Heard { ms: 1 }))
    );
    assert_eq!(sound, [0x55; 8]);
}

#[test]
fn events_and_fields_that_nobody_announced_do_no_harm() {
    let mut stream = started();
    for frame in [
        r#"{"event":"weather","media":7,"start":[],"mark":null}"#,
        r#"{"event":"connected","media":"yes"}"#,
        r#"{"event":"media","media":{"track":"outbound","timestamp":"5","payload":"VVVV","new":{}}}"#,
    ] {
        assert_eq!(stream.read(frame, &mut Vec::new()), Ok(None), "{frame}");
    }
    let escaped = r#"{"event":"medi\u0061","media":{"payload":"\/\/\/\/\/\/\/\/\/\/8="}}"#;
    let mut sound = Vec::new();
    let heard = stream.read(escaped, &mut sound);
    assert_eq!(
        (heard, sound),
        (Ok(Some(Event::Heard { ms: 1 })), vec![0xFF; 8])
    );
}

#[test]
fn nonsense_is_called_nonsense_and_adds_no_sound() {
    let mut stream = started();
    let mut sound = vec![7];
    let long = media(5, &[0; 50_000]);
    assert!(long.len() > LONGEST_FRAME);
    for frame in [
        "",
        "hello",
        "[]",
        "{}",
        r#"{"event":5}"#,
        r#"{"event":"media"}"#,
        r#"{"event":"media","media":{"timestamp":"5"}}"#,
        r#"{"event":"media","media":{"timestamp":"-5","payload":"VVVV"}}"#,
        r#"{"event":"media","media":{"timestamp":"500","payload":"VV!V"}}"#,
        r#"{"event":"media","media":{"timestamp":"500","payload":"VVV"}}"#,
        r#"{"event":"dtmf","dtmf":{}}"#,
        r#"{"event":"mark"}"#,
        &long,
    ] {
        let outcome = stream.read(frame, &mut sound);
        assert!(outcome.is_err(), "{frame}: {outcome:?}");
    }
    assert_eq!(sound, [7]);
}

#[test]
fn what_the_network_lost_is_heard_as_silence() {
    let (told, sound) = hear(&[5, 25, 85, 105]);
    assert_eq!(told, [20, 20, 60, 20]);
    let (speech, silence) = ([0x55; 320], [0xFF; 320]);
    assert_eq!(sound, [speech, silence, speech].concat());
}

#[test]
fn a_stream_that_begins_late_begins_without_silence_and_no_gap_is_longer_than_ten_seconds() {
    let (told, sound) = hear(&[4000, 4020, 64_020, 64_040]);
    assert_eq!(told, [20, 20, 10_020, 20]);
    assert_eq!(sound.len() as u64, 10_080 * BYTES_PER_MS);
}

#[test]
fn a_frame_that_comes_twice_or_too_late_is_heard_once() {
    let (told, sound) = hear(&[0, 20, 20, 0, 60, 40, 80]);
    assert_eq!(told, [20, 20, 0, 0, 40, 0, 20]);
    assert_eq!(sound.len() as u64, 100 * BYTES_PER_MS);
}

#[test]
fn unsteady_stamps_neither_add_silence_nor_lose_speech() {
    let (told, sound) = hear(&[5, 26, 44, 67, 85, 105, 124, 146]);
    assert_eq!(told, [20; 8]);
    assert!(!sound.contains(&0xFF));
}

#[test]
fn a_clock_that_drifts_is_caught_up_with_once_it_makes_a_gap() {
    // 21 ms from frame to frame that carry 20 ms each: after ten of them 10 ms are missing.
    let stamps: Vec<u64> = (0..12).map(|frame| frame * 21).collect();
    let (told, _) = hear(&stamps);
    assert_eq!(told, [20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 30, 20]);
}

#[test]
fn a_clock_that_is_set_anew_does_not_make_the_caller_mute() {
    let (told, _) = hear(&[90_000, 90_020, 5, 25, 25, u64::MAX, 45, 65]);
    assert_eq!(told, [20, 20, 20, 20, 0, 10_020, 20, 20]);
}

#[test]
fn only_the_keys_of_a_telephone_are_keys() {
    let mut stream = started();
    for (digit, expected) in [
        ("0", Some('0')),
        ("#", Some('#')),
        ("*", Some('*')),
        ("D", Some('D')),
        ("E", None),
        ("d", None),
        ("12", None),
        ("", None),
        ("٣", None),
    ] {
        let frame = format!(r#"{{"event":"dtmf","dtmf":{{"digit":"{digit}"}}}}"#);
        let event = stream.read(&frame, &mut Vec::new());
        assert_eq!(event, Ok(expected.map(Event::Digit)), "{digit}");
    }
}

#[test]
fn sound_is_played_in_one_frame_and_marked_in_the_next() {
    let play = Command::Play { mark: MARK, ms: 1 };
    assert_eq!(
        written(&mut started(), &play, &[0x55; 8]),
        [
            r#"{"event":"media","streamSid":"MZ1","media":{"payload":"VVVVVVVVVVU="}}"#,
            r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"3:400:g2"}}"#,
        ]
    );
    assert_eq!(written(&mut started(), &play, &[]).len(), 1);
    assert_eq!(
        written(&mut started(), &Command::Clear, &[]),
        [r#"{"event":"clear","streamSid":"MZ1"}"#]
    );
}

#[test]
fn what_does_not_travel_on_the_stream_is_not_written_to_it() {
    for command in [
        Command::Limit { seconds: 60 },
        Command::LastWords("Bye.".to_string()),
        Command::Close,
        Command::Complete { after_ms: 0 },
    ] {
        assert!(written(&mut started(), &command, &[]).is_empty());
    }
    let play = Command::Play { mark: MARK, ms: 1 };
    assert!(written(&mut fresh(), &play, &[0; 8]).is_empty());
    assert!(written(&mut fresh(), &Command::Clear, &[]).is_empty());
}

#[test]
fn a_streams_name_cannot_break_out_of_its_quotes() {
    let mut stream = fresh();
    let start = START.replace("MZ1", r#"M\"},\\\u0001"#);
    assert_eq!(
        stream.read(&start, &mut Vec::new()),
        Ok(Some(Event::Started))
    );
    let play = Command::Play { mark: MARK, ms: 1 };
    for frame in written(&mut stream, &play, &[0; 8]) {
        let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(frame["streamSid"], "M\"},\\\u{1}");
    }
}

/// Frames that are nearly right: every field there or not, of the right kind or another.
fn nearly() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| format!(r#""{number}""#)),
        any::<String>().prop_map(|text| quoted(&text)),
        Just(r#""VVVV""#.to_string()),
        Just("null".to_string()),
        Just("{}".to_string()),
        Just(r#"{"digit":"1","name":"1:2:g3"}"#.to_string()),
    ];
    let event = prop_oneof![
        Just("media"),
        Just("start"),
        Just("dtmf"),
        Just("mark"),
        Just("stop"),
        Just("connected")
    ];
    (event, value.clone(), value.clone(), value).prop_map(|(event, a, b, c)| {
        format!(r#"{{"event":"{event}","{event}":{a},"streamSid":{b},"media":{{"timestamp":{b},"payload":{c}}}}}"#)
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(frames: Vec<Vec<u8>>) {
        let (mut stream, mut sound) = (started(), Vec::new());
        for frame in frames {
            let _ = stream.read(&String::from_utf8_lossy(&frame), &mut sound);
        }
    }

    #[test]
    fn no_frame_makes_it_panic_or_tell_more_than_there_is(frames in prop::collection::vec(nearly(), 0..20)) {
        let (mut stream, mut sound) = (started(), Vec::new());
        for frame in frames {
            let before = sound.len();
            match stream.read(&frame, &mut sound) {
                Ok(Some(Event::Heard { ms })) => {
                    prop_assert!(ms * BYTES_PER_MS < (sound.len() - before) as u64 + BYTES_PER_MS);
                }
                Ok(_) => prop_assert!(sound.len() - before < 8),
                Err(_) => prop_assert_eq!(sound.len(), before),
            }
        }
    }

    #[test]
    fn pieces_of_any_size_lose_no_millisecond(sizes in prop::collection::vec(0usize..500, 0..60)) {
        let (mut stream, mut sound, mut told, mut bytes) = (started(), Vec::new(), 0, 0);
        for size in sizes {
            // The stamp is cut to whole milliseconds, as a carrier's must be.
            let frame = media(bytes / BYTES_PER_MS, &vec![0x55; size]);
            if let Some(Event::Heard { ms }) = stream.read(&frame, &mut sound).unwrap() {
                told += ms;
            }
            bytes += size as u64;
        }
        prop_assert_eq!(sound.len() as u64, bytes);
        prop_assert_eq!(told, bytes / BYTES_PER_MS);
    }
}
