//! Functions over HTTP: those that answer, and all the ways in which they do not.

use super::shop::{Shop, about, ask, toolbox};
use futures_util::future::join_all;
use ringfence::call::tools::Outcome::{Done, Failed, Late, Misfit};
use ringfence::tools::Toolbox;
use ringfence::units::Phone;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One tool at a path of the shop.
async fn tool_at(shop: &Shop, path: &str, more: &str) -> Toolbox {
    let text = format!(
        "[tool.t]\ndescription = \"A tool.\"\nurl = \"AT{path}\"\ntimeout = \"5s\"\n{more}"
    );
    toolbox(&text, &shop.at).await
}

/// What a tool at this path comes to.
async fn told(path: &str) -> (ringfence::call::tools::Outcome, String) {
    let shop = Shop::open().await;
    ask(&tool_at(&shop, path, "").await, "t", "{}").await
}

const ORDERS: &str = r#"
[tool.orders]
description = "Look up an order."
url = "AT/orders/{order}"
method = "GET"
headers = { Authorization = "env:ORDERS_TOKEN" }
caller = true
[tool.orders.parameters]
type = "object"
required = ["order"]
properties = { order = { type = "string" }, all = { type = "boolean" }, filter = { type = "object" } }
[tool.buy]
description = "Buy something."
url = "AT/buy"
[tool.buy.parameters]
type = "object"
required = ["what"]
properties.what = { type = "string", maxLength = 10 }
"#;

#[tokio::test]
async fn arguments_are_sent_where_the_settings_say_and_the_answer_comes_back() {
    let shop = Shop::open().await;
    let tools = toolbox(ORDERS, &shop.at).await;
    let sent = (Done, "{\"state\":\"sent\"}".to_string());
    let order = r#"{"order":"../../x?y","all":true,"filter":{"a":[1]}}"#;
    assert_eq!(ask(&tools, "orders", order).await, sent);
    assert_eq!(ask(&tools, "buy", r#"{"what":"tea"}"#).await, sent);
    let ours = "x-ringfence-agent=front-desk x-ringfence-call=rf-1";
    let expected = [
        format!(
            "GET /orders/..%2F..%2Fx%3Fy?all=true&filter=%7B%22a%22%3A%5B1%5D%7D  \
             authorization=Bearer orders-very-secret {ours} x-ringfence-caller=+14155550123 \
             x-ringfence-carrier-call=CA1"
        ),
        format!("POST /buy {{\"what\":\"tea\"}} {ours} x-ringfence-carrier-call=CA1"),
    ];
    assert_eq!(shop.seen(), expected);
}

#[tokio::test]
async fn a_caller_who_is_no_number_is_not_named() {
    let shop = Shop::open().await;
    let tools = toolbox(ORDERS, &shop.at).await;
    let mut about = about();
    about.number = Phone::from("anonymous");
    let call = ringfence::call::tools::ToolCall {
        tool_call: "fc-1".into(),
        name: "orders".to_string(),
        arguments: r#"{"order":"1"}"#.to_string(),
    };
    assert_eq!(tools.call(call, &about).await.outcome, Done);
    assert!(!shop.seen()[0].contains("x-ringfence-caller"));
}

#[tokio::test]
async fn what_does_not_fit_is_never_sent() {
    let shop = Shop::open().await;
    let tools = toolbox(ORDERS, &shop.at).await;
    for (tool, arguments) in [
        ("buy", "{}"),
        ("buy", r#"{"what":"much too long"}"#),
        ("buy", r#"{"what":7}"#),
        ("buy", "tea"),
        ("buy", "[]"),
        ("orders", r#"{"order":".."}"#),
        ("orders", r#"{"order":""}"#),
        ("sell", "{}"),
    ] {
        let (outcome, said) = ask(&tools, tool, arguments).await;
        assert_eq!(outcome, Misfit, "{tool} {arguments}");
        assert!(said.ends_with('.') && said.len() <= 300, "{said}");
    }
    let long = format!(r#"{{"what":"{}"}}"#, "x".repeat(20_000));
    assert_eq!(ask(&tools, "buy", &long).await.0, Misfit);
    assert_eq!(shop.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_tool_that_hangs_is_given_up_in_time() {
    let shop = Shop::open().await;
    let quick = "[tool.quick]\ndescription = \"A tool.\"\nurl = \"AT/hang\"\ntimeout = \"100ms\"";
    let quick = toolbox(quick, &shop.at).await;
    let begun = Instant::now();
    let late = (Late, "The tool did not answer in time.".to_string());
    assert_eq!(ask(&quick, "quick", "{}").await, late);
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_tool_that_hangs_takes_no_more_places_than_it_has() {
    let shop = Shop::open().await;
    let text = r#"
[tool.hangs]
description = "A tool."
url = "AT/hang"
timeout = "300ms"
max_at_once = 2
[tool.works]
description = "A tool."
url = "AT/works"
"#;
    let tools = toolbox(text, &shop.at).await;
    let hanging = join_all((0..5).map(|_| ask(&tools, "hangs", "{}")));
    let (hung, works) = tokio::join!(hanging, ask(&tools, "works", "{}"));
    let busy = "The tool is busy. Try again later.";
    let refused = hung.iter().filter(|(_, said)| said == busy).count();
    assert_eq!((refused, works.0), (3, Done));
    assert!(hung.iter().all(|(outcome, _)| *outcome == Late));
    assert_eq!(shop.seen().len(), 3);
}

#[tokio::test]
async fn an_endless_answer_is_cut_and_nobody_listens_to_the_rest() {
    let mut shop = Shop::open().await;
    let tools = tool_at(&shop, "/endless", "max_answer_bytes = 300").await;
    let (outcome, said) = ask(&tools, "t", "{}").await;
    assert_eq!((outcome, said.len()), (Done, 300));
    assert!(said.ends_with("x… (shortened)"));
    let closed = tokio::time::timeout(Duration::from_secs(10), shop.closed.recv()).await;
    assert_eq!(closed, Ok(Some(())));
}

#[tokio::test]
async fn a_web_page_is_no_answer() {
    let page = "The tool answered with a web page instead of data.".to_string();
    assert_eq!(told("/page").await, (Failed, page.clone()));
    assert_eq!(told("/hidden-page").await, (Failed, page));
}

#[tokio::test]
async fn a_refusal_is_told_in_words_with_the_beginning_of_its_own() {
    let (outcome, said) = told("/broken").await;
    assert_eq!(outcome, Failed);
    let start = "The tool answered 500, Internal Server Error. It said: {\"error\":\"no such order";
    assert!(said.starts_with(start), "{said}");
    assert_eq!(
        said.len(),
        start.len() - "{\"error\":\"no such order".len() + 200
    );
    let page = "The tool answered 502, Bad Gateway.".to_string();
    assert_eq!(told("/broken-page").await, (Failed, page));
}

#[tokio::test]
async fn nobody_is_sent_on_to_another_address() {
    let (shop, other) = (Shop::open().await, Shop::open().await);
    let text = r#"
[tool.t]
description = "A tool."
url = "AT/moved"
method = "GET"
headers = { Authorization = "env:ORDERS_TOKEN" }
parameters = { type = "object" }
"#;
    let tools = toolbox(text, &shop.at).await;
    let to = format!(r#"{{"{}/here":""}}"#, other.at);
    let said = "The tool has moved elsewhere and cannot be asked.".to_string();
    assert_eq!(ask(&tools, "t", &to).await, (Failed, said));
    assert_eq!((shop.seen().len(), other.seen().len()), (1, 0));
}

#[tokio::test]
async fn what_is_not_text_is_said_to_be_so() {
    let picture = "The tool answered with image/png instead of text.".to_string();
    assert_eq!(told("/picture").await, (Failed, picture));
    assert_eq!(told("/latin").await, (Done, "caf\u{fffd}".to_string()));
    let nothing = "Done. The tool answered nothing.".to_string();
    assert_eq!(told("/nothing").await, (Done, nothing));
}

#[tokio::test]
async fn a_tool_that_is_not_there_cannot_be_reached() {
    let text = "[tool.t]\ndescription = \"A tool.\"\nurl = \"AT/x\"";
    let tools = toolbox(text, "http://127.0.0.1:1").await;
    let said = "The tool cannot be reached right now.".to_string();
    assert_eq!(ask(&tools, "t", "{}").await, (Failed, said));
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_what_became_of_a_call_and_nothing_that_was_said() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let shop = Shop::open().await;
    let tools = toolbox(ORDERS, &shop.at).await;
    let order = r#"{"order":"secret-argument"}"#;
    assert_eq!(ask(&tools, "orders", order).await.0, Done);
    assert_eq!(ask(&tools, "orders", "{}").await.0, Misfit);
    let gone = toolbox(ORDERS, "http://127.0.0.1:1").await;
    assert_eq!(ask(&gone, "orders", order).await.0, Failed);
    let lines = String::from_utf8(log.0.lock().expect("a log").clone()).expect("text");
    let ours: Vec<&str> = lines
        .lines()
        .filter(|line| line.contains("tool.called"))
        .collect();
    assert_eq!(ours.len(), 3, "{lines}");
    assert!(ours[0].contains("outcome=\"done\"") && ours[0].contains("tool=\"orders\""));
    assert!(ours[1].contains("outcome=\"misfit\""));
    assert!(ours[2].contains("could not connect"));
    for line in &ours {
        for secret in ["secret-argument", "very-secret", "sent", "4155550123"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    assert!(
        !lines.contains("very-secret") && !lines.contains("4155550123"),
        "{lines}"
    );
}
