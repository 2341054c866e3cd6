//! Recordings of our own.
