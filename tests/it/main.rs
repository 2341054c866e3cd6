//! Black-box tests: one binary, so that it is linked once.

mod forges;
mod support;
