//! `doctor`: what was found, a line a check, and below it what to do.

use std::process::ExitCode;

use crate::Error;
use crate::custody::first_locked;
use crate::doctor::{Check, Verdict, examine};
use crate::words::Escaped;

use super::secrets::Secrets;
use super::{args, print};

pub(super) async fn run(doctor: &args::Doctor, secrets: &Secrets, way: &args::Way) -> ExitCode {
    // Without the passphrase it looks at everything else.
    if let Some(Err(error)) = first_locked(&doctor.profile).ok().flatten().map(|path| secrets.learn(Error::Locked(path))) {
        print::note(&error.to_string());
    }
    let report = examine(&doctor.profile, &secrets.unlock(), way.transport, doctor.wait).await;
    let colour = command::colour(&std::io::stdout());
    for check in &report.checks {
        if doctor.json {
            print::json(check);
        } else {
            print::line(&render(check, colour));
        }
    }
    ExitCode::from(report.exit())
}

fn render(check: &Check, colour: bool) -> String {
    let code = match check.verdict {
        Verdict::Ok => 32,
        Verdict::Warn => 33,
        Verdict::Bad | Verdict::Unreachable => 31,
    };
    let word = check.verdict.word();
    let word = if colour { format!("\u{1b}[{code}m{word:<5}\u{1b}[0m") } else { format!("{word:<5}") };
    let mut text = format!("{word} {:<12} {}", check.name, Escaped(&check.text));
    if !check.advice.is_empty() {
        text += &format!("\n{:>20} {}", "->", Escaped(&check.advice));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line_and_what_to_do_below_it() {
        let check = |verdict, advice: &str| Check { name: "tls", verdict, text: "ends\u{1b}[2J".to_owned(), advice: advice.to_owned() };
        assert_eq!(render(&check(Verdict::Ok, ""), false), "ok    tls          ends\\u{1b}[2J");
        let expected = "BAD   tls          ends\\u{1b}[2J\n                  -> do";
        assert_eq!(render(&check(Verdict::Bad, "do"), false), expected);
        assert!(render(&check(Verdict::Warn, ""), true).starts_with("\u{1b}[33mwarn \u{1b}[0m tls"));
    }
}
