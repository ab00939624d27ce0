//! An officer's desk: the commands, in the stage's folder, and what they print.

use std::process::{Command, Output};

use super::Stage;

const ECOWIRE: &str = env!("CARGO_BIN_EXE_ecowire-all");

pub(crate) struct Desk<'a> {
    pub(crate) stage: &'a Stage,
}

impl Desk<'_> {
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(ECOWIRE).arg("ecowire").args(arguments).current_dir(self.stage.beside(".")).output();
        output.expect("it runs")
    }

    /// Demands an exit code; gives stdout and stderr.
    #[track_caller]
    pub(crate) fn check(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
        (out, err)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.stage.beside(name), text).expect("written");
    }
}
