//! Commits, pushes and fetches with real repositories, over HTTP and on this machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commits;
mod local;
mod remote;
mod reverts;

use std::collections::BTreeMap;

use gitops_updater::repo::write::{Change, Person, Words};
use jiff::Timestamp;

/// When commits of these tests are made.
const TIME: &str = "2026-11-21T10:00:00Z";

fn time() -> Timestamp {
    TIME.parse().unwrap()
}

fn words<'a>(message: &'a str, author: &'a Person) -> Words<'a> {
    Words { message, author, time: time() }
}

fn write<const N: usize>(files: [(&str, &str); N]) -> BTreeMap<String, Change> {
    files.map(|(path, text)| (path.to_owned(), Change::Write(text.as_bytes().to_vec()))).into()
}
