//! `ecowire`: a member's commands. Exit 0 done, 1 fault, 2 usage, 3 refused, 4 not reachable, 5 verification failed.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = match cli::args::Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version are done with 0, wrong usage with 2.
        Err(error) => error.exit(),
    };
    cli::logs();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ecowire: no runtime: {error}");
            return ExitCode::from(1);
        }
    };
    let done = runtime.block_on(cli::run(arguments));
    // A connection's last frames need no waiting for.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(error) => cli::print::failure(&error),
    }
}
