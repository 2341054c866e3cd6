//! Use cases, generic over the ports.

pub mod ports;
