//! The cluster, asked over HTTP: first whether the fake API server is as strict as the real one, then what the
//! program makes of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake;
