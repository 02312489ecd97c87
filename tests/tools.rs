//! What tools may do to a call: nothing but answer, in time and in few words, whatever their servers do.

#[path = "tools/functions.rs"]
mod functions;
#[path = "tools/mcp.rs"]
mod mcp;
#[path = "tools/mcp_server.rs"]
mod mcp_server;
#[path = "tools/shop.rs"]
mod shop;
