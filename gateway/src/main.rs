//! `ecowire-gateway`; the command itself is `gateway::cli`.

fn main() -> std::process::ExitCode {
    gateway::cli::run(std::env::args_os(), commit::version!())
}
