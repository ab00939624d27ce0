//! What a doctor found: checks with what they came to, as lines, as JSON, and as an exit code.
//!
//! It does not know what is looked at.

use serde::Serialize;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// Something to do soon.
    Warn,
    /// Something to do now.
    Bad,
    /// Nothing is known to be wrong, but nobody answers.
    Unreachable,
}

impl Verdict {
    /// As a report begins its line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "BAD",
            Self::Unreachable => "DOWN",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name.
    pub name: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do; empty when there is nothing.
    pub advice: String,
}

/// All that was looked at, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Check {
    /// A check with any verdict.
    #[must_use]
    pub fn new(name: &'static str, verdict: Verdict, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, verdict, text: text.into(), advice: advice.into() }
    }

    /// Nothing to do.
    #[must_use]
    pub fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, text, "")
    }

    /// Something to do soon.
    #[must_use]
    pub fn warn(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Verdict::Warn, text, advice)
    }

    /// Something to do now.
    #[must_use]
    pub fn bad(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Verdict::Bad, text, advice)
    }

    /// Nobody answers.
    #[must_use]
    pub fn unreachable(name: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, Verdict::Unreachable, text, advice)
    }
}

impl Report {
    /// 0 when all is well or only needs something soon, 4 when nothing is wrong but nobody answers, else 1.
    #[must_use]
    pub fn exit(&self) -> u8 {
        let has = |verdict| self.checks.iter().any(|check| check.verdict == verdict);
        match (has(Verdict::Bad), has(Verdict::Unreachable)) {
            (true, _) => 1,
            (false, true) => 4,
            (false, false) => 0,
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Check { name, verdict, text, advice } in &self.checks {
            let word = verdict.word();
            writeln!(f, "{word:<5} {name:<12} {text}")?;
            if !advice.is_empty() {
                writeln!(f, "{:>20} {advice}", "->")?;
            }
        }
        Ok(())
    }
}
