//! Claims about documents: who is asked, what is done, how a call ends and what it costs.

use super::*;

#[test]
fn when_the_server_closes_the_stream_the_carrier_asks_what_is_next_and_says_it() {
    let say = "<Response><Say>Goodbye.</Say><Hangup/></Response>";
    let mut bench = ring(setup(), &[CONNECT, say]);
    bench.until(2000).plays(8000, 9000);
    bench.phone.closed(bench.now_ms + 500, Some(1000));
    bench.now_ms += 500;
    bench.flush();
    bench.until(10_000);
    expect_test::expect![[r#"
           0.000  carrier  asks https://bot.example.com/twilio/voice
           0.000  carrier  answers
           0.000  stream   open
           2.000  agent    speaks
           2.499  agent    is silent
           2.500  stream   closed with 1000
           2.500  stream   ended with 0.500s unheard
           2.500  carrier  asks https://bot.example.com/twilio/ended
           2.500  carrier  says "Goodbye."
           3.420  over     hung-up
    "#]]
    .assert_eq(&bench.story());
    let posts = bench.posts();
    assert!(
        posts[0]
            .1
            .contains(&("CallStatus".to_owned(), "ringing".to_owned()))
    );
    assert!(
        posts[1]
            .1
            .contains(&("CallStatus".to_owned(), "in-progress".to_owned()))
    );
    assert_eq!(bench.phone.says(), ["Goodbye."]);
    assert_eq!(bench.sent.last().map(|(_, out)| out), Some(&Out::Done));
    assert!(bench.phone.violations().is_empty());
}

#[test]
fn the_handshake_is_signed() {
    let bench = ring(setup(), &[CONNECT]);
    let signature = sign::signature(
        "0123456789abcdef0123456789abcdef",
        "wss://bot.example.com/media/7f3c",
        &[],
    );
    let open = Out::Open {
        url: "wss://bot.example.com/media/7f3c".to_owned(),
        headers: vec![("X-Twilio-Signature", signature)],
    };
    assert!(bench.sent.iter().any(|(_, out)| *out == open));
}

#[test]
fn a_rejected_call_is_free_and_a_redirected_one_asks_elsewhere() {
    let reject = r#"<Response><Reject reason="busy"/></Response>"#;
    let bench = ring(setup(), &[reject]);
    assert_eq!(bench.ending(), Some((0, Ending::Rejected)));
    assert_eq!(
        (bench.phone.billed_minutes(), bench.phone.answered_ms()),
        (0, None)
    );
    let redirect = "<Response><Redirect>https://other.example.com/voice</Redirect></Response>";
    let bench = ring(setup(), &[redirect, reject]);
    assert_eq!(bench.posts()[1].0, "https://other.example.com/voice");
    assert_eq!(bench.phone.billed_minutes(), 0, "asking is not answering");
    let bench = ring(setup(), &[redirect; 30]);
    assert_eq!(
        bench.ending(),
        Some((0, Ending::ApplicationError)),
        "a circle has an end"
    );
    let bench = ring(setup(), &[HANGUP]);
    assert_eq!(
        bench.phone.billed_minutes(),
        1,
        "answering costs a minute, however short"
    );
}

#[test]
fn a_document_that_cannot_be_read_or_never_comes_is_an_application_error() {
    for (documents, code) in [(&["<Nonsense"][..], 12100), (&[""], 11205), (&[], 11205)] {
        let mut bench = ring(setup(), documents);
        bench.until(16_000);
        assert_eq!(
            bench.ending().map(|(_, ending)| ending),
            Some(Ending::ApplicationError)
        );
        assert_eq!(bench.phone.violations()[0].code, code, "{documents:?}");
    }
    let mut phone = Phone::new(setup());
    phone.start(0);
    phone.http_answered(3, 403, "Forbidden");
    assert_eq!(phone.ended(), Some((3, Ending::ApplicationError)));
}

#[test]
fn a_caller_who_hangs_up_leaves_the_stream_properly_and_pays_for_started_minutes() {
    let mut setup = scripted(vec![at(500, Act::Press('5')), at(60_001, Act::HangUp)]);
    setup.status_callback = Some("https://bot.example.com/twilio/status".to_owned());
    setup.line.delay_ms = 40;
    let mut bench = ring(setup, &[CONNECT, "ok"]);
    bench.until(62_000);
    assert_eq!(bench.frames("dtmf")[0].1["dtmf"]["digit"], "5");
    assert_eq!(bench.frames("dtmf")[0].0, 540);
    assert_eq!(bench.frames("stop")[0].0, 60_041);
    assert_eq!(bench.ending(), Some((60_001, Ending::CallerHungUp)));
    assert_eq!(
        (bench.phone.duration_ms(), bench.phone.billed_minutes()),
        (60_001, 2)
    );
    let last: Vec<&Out> = bench
        .sent
        .iter()
        .rev()
        .take(3)
        .map(|(_, out)| out)
        .collect();
    assert!(
        matches!(last[..], [Out::Done, Out::Http { .. }, Out::Close]),
        "{last:?}"
    );
    assert!(
        bench.posts()[1]
            .1
            .contains(&("Duration".to_owned(), "2".to_owned()))
    );
    assert_eq!(
        bench.phone.heard().len(),
        60_001 * 8,
        "nothing is heard after the end"
    );
}

#[test]
fn the_api_ends_a_call_at_once_or_at_its_limit() {
    let mut bench = ring(setup(), &[CONNECT]);
    bench
        .until(1000)
        .phone
        .order(6_000, Order::Limit { seconds: 60 });
    bench.until(90_000);
    assert_eq!(bench.ending(), Some((60_000, Ending::TimeLimit)));
    assert_eq!(bench.phone.billed_minutes(), 1);
    let mut bench = ring(setup(), &[CONNECT]);
    bench.until(1000).phone.order(6_000, Order::Complete);
    bench.until(2000);
    assert_eq!(bench.ending(), Some((1000, Ending::Completed)));
    assert_eq!(bench.frames("stop").len(), 1);
}

#[test]
fn a_refused_stream_lets_the_document_go_on() {
    let mut phone = Phone::new(setup());
    phone.start(0);
    phone.http_answered(1, 200, CONNECT);
    phone.refused(2, 403);
    phone.http_answered(3, 200, HANGUP);
    assert_eq!(phone.ended(), Some((3, Ending::HungUp)));
    assert_eq!(phone.violations()[0].code, 31920);
}
