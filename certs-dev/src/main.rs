//! `ecowire-certs`; the command itself is `certs_dev::cli`.

fn main() -> std::process::ExitCode {
    certs_dev::cli::run(std::env::args_os(), commit::version!())
}
