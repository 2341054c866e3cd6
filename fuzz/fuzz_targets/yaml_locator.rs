//! Fuzzes [`gitops_updater_fuzz::yaml_locator`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gitops_updater_fuzz::yaml_locator(bytes));
