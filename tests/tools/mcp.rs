//! Tools of MCP servers: found at start, and called under the same limits as functions of our own.

use super::mcp_server::{Flavour, Server};
use super::shop::{ask, toolbox};
use futures_util::future::join_all;
use ringfence::call::tools::Outcome::{Done, Failed, Late, Misfit};
use ringfence::tools::Toolbox;

const SHOP: &str = r#"
[mcp.shop]
url = "AT/mcp"
headers = { Authorization = "env:ORDERS_TOKEN" }
timeout = "5s"
price_usd = 0.01
"#;

fn names(toolbox: &Toolbox, name: &str) -> Vec<String> {
    let offers = toolbox.offers(name).into_iter();
    offers.map(|offer| offer.tool.name.clone()).collect()
}

#[tokio::test]
async fn its_tools_are_offered_under_its_name_page_by_page() {
    for flavour in [Flavour::Json, Flavour::Events] {
        let server = Server::open(flavour).await;
        let tools = toolbox(SHOP, &server.at).await;
        let expected = [
            "shop_find_item",
            "shop_fail",
            "shop_complain",
            "shop_hang",
            "shop_huge",
            "shop_mixed",
        ];
        assert_eq!(names(&tools, "shop"), expected, "{flavour:?}");
        assert_eq!(names(&tools, "shop_fail"), ["shop_fail"]);
        assert_eq!(names(&tools, "nobody"), Vec::<String>::new());
        let offer = tools.offers("shop_find_item")[0];
        assert_eq!(offer.tool.description.len(), 1024);
        assert_eq!(offer.terms.price.to_string(), "0.01");
        let left_out = [
            "[mcp.shop] circle: left out: its schema refers to itself, or unfolds into too much",
            "[mcp.shop] find_item: left out: there is a shop_find_item already",
        ];
        assert_eq!(tools.warnings(), left_out);
    }
}

#[tokio::test]
async fn they_are_called_and_their_answers_are_told_in_words() {
    for flavour in [Flavour::Json, Flavour::Events] {
        let server = Server::open(flavour).await;
        let tools = toolbox(SHOP, &server.at).await;
        let tea = r#"{"what":"tea"}"#;
        let found = (Done, format!("{tea} \"rf-1\""));
        assert_eq!(ask(&tools, "shop_find_item", tea).await, found);
        let mixed = (Done, "one\n[an image]\ntwo".to_string());
        assert_eq!(ask(&tools, "shop_mixed", "").await, mixed);
        let failed = (Failed, "out of stock".to_string());
        assert_eq!(ask(&tools, "shop_fail", "{}").await, failed);
        let complained = (Failed, "The tool failed: no such item".to_string());
        assert_eq!(ask(&tools, "shop_complain", "{}").await, complained);
        let calls = || server.asked().iter().filter(|m| *m == "tools/call").count();
        assert_eq!((calls(), server.sessions()), (4, 1), "{flavour:?}");
        assert_eq!(ask(&tools, "shop_find_item", "{}").await.0, Misfit);
        assert_eq!(calls(), 4);
    }
}

#[tokio::test]
async fn only_those_that_are_named_are_offered() {
    let server = Server::open(Flavour::Json).await;
    let text = format!("{SHOP}tools = [\"fail\", \"stock\"]");
    let tools = toolbox(&text, &server.at).await;
    assert_eq!(names(&tools, "shop"), ["shop_fail"]);
    let missing = "[mcp.shop] stock: left out: the server has no such tool";
    assert_eq!(tools.warnings(), [missing]);
    assert_eq!(ask(&tools, "shop_mixed", "{}").await.0, Misfit);
}

#[tokio::test]
async fn a_server_that_forgot_the_session_is_asked_again() {
    for flavour in [Flavour::Json, Flavour::Events] {
        let server = Server::open(flavour).await;
        let tools = toolbox(SHOP, &server.at).await;
        server.forget();
        let tea = r#"{"what":"tea"}"#;
        assert_eq!(ask(&tools, "shop_find_item", tea).await.0, Done);
        assert_eq!(server.sessions(), 2, "{flavour:?}");
    }
}

#[tokio::test]
async fn one_that_hangs_or_never_ends_disturbs_no_other() {
    for flavour in [Flavour::Json, Flavour::Events] {
        let server = Server::open(flavour).await;
        let text = SHOP.replace("5s", "2s");
        let tools = toolbox(&text, &server.at).await;
        let tea = r#"{"what":"tea"}"#;
        let many = (0..8).map(|_| ask(&tools, "shop_find_item", tea));
        let (hung, huge, found) = tokio::join!(
            ask(&tools, "shop_hang", "{}"),
            ask(&tools, "shop_huge", "{}"),
            join_all(many),
        );
        assert_eq!(hung, (Late, "The tool did not answer in time.".to_string()));
        assert!(huge.0 != Done && huge.1.len() < 100, "{huge:?}");
        assert!(
            found.iter().all(|(outcome, _)| *outcome == Done),
            "{found:?}"
        );
        assert_eq!(ask(&tools, "shop_find_item", tea).await.0, Done);
        assert_eq!(server.sessions(), 1, "{flavour:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_left_out_with_a_warning() {
    let tools = toolbox(SHOP, "http://127.0.0.1:1").await;
    assert_eq!(names(&tools, "shop"), Vec::<String>::new());
    let warning = "[mcp.shop]: could not connect: its tools are left out";
    assert_eq!(tools.warnings(), [warning]);
    assert_eq!(ask(&tools, "shop_fail", "{}").await.0, Misfit);
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_left_out_too() {
    let server = Server::open(Flavour::Json).await;
    let text = SHOP.replace("env:ORDERS_TOKEN", "Bearer wrong");
    let tools = toolbox(&text, &server.at).await;
    let warning = "[mcp.shop]: not authorized: its tools are left out";
    assert_eq!(tools.warnings(), [warning]);
}
