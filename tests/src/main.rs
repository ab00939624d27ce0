//! All commands in one binary, so that stories run them as processes of their own: `ecowire-all COMMAND ARGUMENTS...`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    match args.first().and_then(|name| name.to_str()) {
        Some("ecowire-gateway") => gateway::cli::run(args, commit::version!()),
        Some("ecowire-certs") => certs_dev::cli::run(args, commit::version!()),
        Some("ecowire") => client::cli::run(args, commit::version!()),
        other => {
            eprintln!("no command of that name: {other:?}");
            ExitCode::from(2)
        }
    }
}
