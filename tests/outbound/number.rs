//! Numbers are looked at, connected and given back.
