//! Fuzzes [`gitops_updater_fuzz::message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gitops_updater_fuzz::message(bytes));
