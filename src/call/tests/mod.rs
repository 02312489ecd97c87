//! Calls, told as calls.

mod money;
mod script;
mod talk;
