//! Calls, told as calls.

mod edge;
mod ends;
mod interrupted;
mod money;
mod script;
mod sessions;
mod talk;
