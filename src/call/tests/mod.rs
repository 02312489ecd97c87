//! Calls, told as calls.

mod acts;
mod edge;
mod ends;
mod handed;
mod interrupted;
mod leaves;
mod listens;
mod money;
mod script;
mod sessions;
mod talk;
