//! `ecowire`; the command itself is `client::cli`.

fn main() -> std::process::ExitCode {
    client::cli::run(std::env::args_os(), commit::version!())
}
