//! What `[tool.NAME]` and `[mcp.NAME]` become, and what is said of those that cannot stand.

use super::*;
use crate::tools::Limits;
use expect_test::Expect;
use serde_json::json;
use std::time::Duration;

const TOKEN: (&str, &str) = ("ORDERS_TOKEN", "Bearer orders-very-secret");

const ORDERS: &str = r#"
[tool.order-status]
description = "Look up an order by its number."
url = "https://shop.acme.test/orders/{order}/"
method = "GET"
timeout = "2500ms"
price_usd = 0.002
headers = { Authorization = "env:ORDERS_TOKEN", X-Shop = "acme" }
max_answer_bytes = 1000
max_at_once = 4
caller = true
[tool.order-status.parameters]
type = "object"
required = ["order"]
properties.order = { type = "string", maxLength = 1_0, multipleOf = 0.5 }
[tool.ring]
description = "Ring the bell."
url = "http://127.0.0.1:9/ring"
[mcp.shop]
url = "https://shop.acme.test/mcp"
tools = ["find item", "stock"]
price_usd = 0.01
headers = { Authorization = "env:ORDERS_TOKEN" }
"#;

fn refuses(more: &str, expected: Expect) {
    let mistakes = with(&format!("{MINIMAL}{more}"), &[]).expect_err("is refused");
    expected.assert_eq(&told(&mistakes));
}

#[test]
fn a_tool_is_what_is_written_and_every_limit_has_a_default() {
    let settings = loads(&format!("{MINIMAL}{ORDERS}"), &[TOKEN]).tools;
    let [order, ring] = settings.functions.as_slice() else {
        panic!("two functions");
    };
    let expected = json!({
        "type": "object",
        "required": ["order"],
        "properties": {"order": {"type": "string", "maxLength": 10, "multipleOf": 0.5}}
    });
    assert_eq!(order.offer.tool.parameters, expected);
    assert_eq!(order.offer.terms.price, Usd::from_micros(2000));
    assert_eq!(order.offer.terms.timeout_ms, 2500);
    assert_eq!((order.method.as_str(), order.caller), ("GET", true));
    assert_eq!(order.url.arguments().collect::<Vec<_>>(), ["order"]);
    let limits = Limits {
        timeout: Duration::from_millis(2500),
        max_answer_bytes: 1000,
        max_at_once: 4,
    };
    assert_eq!(order.limits, limits);
    let (name, value) = &order.headers[0];
    assert_eq!((name.as_str(), value.reveal()), ("authorization", TOKEN.1));
    let limits = Limits {
        timeout: Duration::from_secs(4),
        max_answer_bytes: 4096,
        max_at_once: 16,
    };
    assert_eq!((ring.method.as_str(), ring.limits), ("POST", limits));
    let nothing = json!({"type": "object", "properties": {}});
    assert_eq!(ring.offer.tool.parameters, nothing);
    assert!(!ring.caller && ring.headers.is_empty());
}

#[test]
fn the_names_an_agent_may_be_given_are_known_before_a_server_is_asked() {
    let settings = loads(&format!("{MINIMAL}{ORDERS}"), &[TOKEN]).tools;
    let names = [
        "order-status",
        "ring",
        "shop",
        "shop_find_item",
        "shop_stock",
    ];
    assert_eq!(settings.names(), names);
    for name in names {
        assert!(settings.may_offer(name), "{name}");
    }
    assert!(!settings.may_offer("shop_price") && !settings.may_offer("stock"));
    let open = "[mcp.shop]\nurl = \"https://shop.acme.test/mcp\"";
    let settings = loads(&format!("{MINIMAL}{open}"), &[]).tools;
    assert!(settings.may_offer("shop_price") && settings.may_offer("shop"));
    assert!(!settings.may_offer("shop_") && !settings.may_offer("shops"));
}

#[test]
fn no_value_of_a_header_is_ever_printed() {
    let settings = loads(&format!("{MINIMAL}{ORDERS}"), &[TOKEN]);
    let shown = format!("{settings:?}");
    assert!(!shown.contains("orders-very-secret") && !shown.contains("acme\")"));
    let with_break = ("ORDERS_TOKEN", "orders-very-secret\nX: y");
    let refused = with(&format!("{MINIMAL}{ORDERS}"), &[with_break]);
    assert!(!told(&refused.expect_err("is refused")).contains("very-secret"));
}

#[test]
fn what_a_tool_lacks_or_has_wrong_is_said_at_once() {
    refuses(
        r#"
[tool.end_call]
url = "http://shop.acme.test/x"
[tool."order status"]
description = ""
url = "https://shop.acme.test/{order}"
method = "FETCH"
timeout = "1m"
price_usd = -1
max_answer_bytes = 100
max_at_once = 0
descript = "x"
[tool.a.parameters]
type = "object"
properties.x = { type = "txt" }
"#,
        expect![[r#"
            ringfence.toml:21 [tool.a] description
              is missing
              -> say what it does and when to use it: the model knows nothing else of it
            ringfence.toml:21 [tool.a] url
              is missing
              -> write it as https://host/path
            ringfence.toml:21 [tool.a] parameters
              is not a JSON Schema: properties/x/type: value is not valid under any of the schemas listed in the 'anyOf' keyword
              -> write JSON Schema, as TOML
            ringfence.toml:10 [tool.end_call]
              end_call is what Ringfence itself does
              -> rename the section
            ringfence.toml:10 [tool.end_call] description
              is missing
              -> say what it does and when to use it: the model knows nothing else of it
            ringfence.toml:11 [tool.end_call] url
              http:// is accepted for this machine only: anybody on the way could listen
              -> use https://
            ringfence.toml:12 [tool.order status]
              a name here is at most 64 letters, digits, - and _
              -> rename the section
            ringfence.toml:13 [tool.order status] description
              is empty
              -> say what it does and when to use it: the model knows nothing else of it
            ringfence.toml:15 [tool.order status] method
              "FETCH" is not one of: GET, POST, PUT, PATCH, DELETE
              -> use one of them
            ringfence.toml:16 [tool.order status] timeout
              must be from 100ms to 30s
              -> write "4s": the caller waits meanwhile
            ringfence.toml:18 [tool.order status] max_answer_bytes
              100: must be a whole number from 256 to 16384
              -> write digits only
            ringfence.toml:19 [tool.order status] max_at_once
              0: must be a whole number from 1 to 1000
              -> write digits only
            ringfence.toml:17 [tool.order status] price_usd
              -1: an amount of money cannot be negative
              -> write dollars and cents, such as 0.50
            ringfence.toml:14 [tool.order status] url
              {order} is not an argument that is always there
              -> add it to properties and to required of [tool.order status.parameters]
            ringfence.toml:20 [tool.order status] descript
              there is no such key
              -> did you mean description?"#]],
    );
}

#[test]
fn arguments_choose_no_host() {
    refuses(
        r#"
[tool.b]
description = "B."
url = "https://{host}.test/"
"#,
        expect![[r#"
            ringfence.toml:12 [tool.b] url
              a place for an argument may stand in the path only
              -> write it as https://host/orders/{order}"#]],
    );
}

#[test]
fn headers_must_be_sendable() {
    refuses(
        r#"
[tool.a]
description = "A."
url = "https://shop.acme.test/a"
[tool.a.headers]
"X Y" = "z"
Host = "elsewhere.test"
X-Ringfence-Call = "mine"
Authorization = "env:NOT_THERE"
X-Number = 7
X-Empty = " "
[tool.b]
description = "B."
url = "https://shop.acme.test/b"
headers = "none"
"#,
        expect![[r#"
            NOT_THERE
              is not set
              -> set it: [tool.a] sends it as Authorization
            ringfence.toml:13 [tool.a] headers
              "Host" is said by Ringfence itself
              -> take it out
            ringfence.toml:13 [tool.a] headers
              "X Y" is not the name of a header
              -> use letters, digits and -
            ringfence.toml:13 [tool.a] headers
              "X-Empty" has no value, or one with breaks or letters beyond ASCII
              -> put the value there and nothing else
            ringfence.toml:13 [tool.a] headers
              "X-Number" must be text
              -> put its value in quotes
            ringfence.toml:13 [tool.a] headers
              "X-Ringfence-Call" is said by Ringfence itself
              -> take it out
            ringfence.toml:23 [tool.b] headers
              must be names and values
              -> write it as { Authorization = "env:ORDERS_TOKEN" }"#]],
    );
}

#[test]
fn a_server_of_tools_is_held_to_the_same() {
    refuses(
        r#"
[tool.shop_stock]
description = "Stock."
url = "https://shop.acme.test/stock"
[mcp.shop]
url = "https://shop.acme.test/mcp?key=1"
tools = ["stock"]
method = "GET"
[mcp.transfer]
url = "http://10.0.0.1/mcp"
tools = []
"#,
        expect![[r#"
            ringfence.toml:14 [mcp.shop] url
              must end before any ? or #
              -> take the rest out
            ringfence.toml:13 [mcp.shop]
              "shop_stock" is the name of a tool of [tool.shop_stock] already
              -> rename one of the sections
            ringfence.toml:16 [mcp.shop] method
              there is no such key
              -> the keys here are: url, timeout, max_answer_bytes, max_at_once, price_usd, headers, tools
            ringfence.toml:17 [mcp.transfer]
              transfer is what Ringfence itself does
              -> rename the section
            ringfence.toml:18 [mcp.transfer] url
              http:// is accepted for this machine only: anybody on the way could listen
              -> use https://
            ringfence.toml:19 [mcp.transfer] tools
              is empty
              -> name at least one, or take it out for all of them"#]],
    );
}
