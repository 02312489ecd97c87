//! Calls, told as calls.

mod ends;
mod money;
mod script;
mod talk;
