//! Fuzzes [`gitops_updater_fuzz::config`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gitops_updater_fuzz::config(bytes));
