//! Tests against real processes, files and sockets, without a network.

mod support;
mod upstream;
