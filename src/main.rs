//! The program; see the library for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything makes a TLS client. It fails only where a provider is installed already, which is as good.
    let _installed_before = rustls::crypto::ring::default_provider().install_default().is_err();
    gitops_updater::cli::main()
}
