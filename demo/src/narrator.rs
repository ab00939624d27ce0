//! What the demo says: a numbered step, what happened, sizes and times. Words that an officer understands.

use std::time::{Duration, Instant};

/// Says steps and remembers when the current one began.
#[derive(Debug)]
pub struct Narrator {
    step: u32,
    began: Instant,
    /// What was said, when it is kept and not printed.
    kept: Option<Vec<String>>,
}

impl Narrator {
    /// Nothing said yet; what is said is printed.
    #[must_use]
    pub fn aloud() -> Self {
        Self { step: 0, began: Instant::now(), kept: None }
    }

    /// Nothing said yet; what is said is kept.
    #[must_use]
    pub fn keeping() -> Self {
        Self { kept: Some(Vec::new()), ..Self::aloud() }
    }

    /// What was said and kept, line by line.
    #[must_use]
    pub fn kept(&self) -> &[String] {
        self.kept.as_deref().unwrap_or_default()
    }

    fn line(&mut self, text: String) {
        match &mut self.kept {
            Some(lines) => lines.push(text),
            None => println!("{text}"),
        }
    }

    /// Opens the next step.
    pub fn step(&mut self, title: &str) {
        self.step += 1;
        self.began = Instant::now();
        self.line(format!("\n{}. {title}", self.step));
    }

    /// Says one thing of the current step.
    pub fn say(&mut self, text: &str) {
        self.line(format!("   {text}"));
    }

    /// Says one thing, and how long it took since the step began or the last timed line.
    pub fn timed(&mut self, text: &str) {
        self.line(format!("   {text} ({})", millis(self.began.elapsed())));
        self.began = Instant::now();
    }

    /// How many steps there were.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.step
    }
}

fn millis(took: Duration) -> String {
    format!("{} ms", took.as_millis())
}

/// A size as people read it.
#[must_use]
pub fn size(bytes: usize) -> String {
    if bytes < 10_000 { format!("{bytes} bytes") } else { format!("{} KiB", bytes / 1024) }
}
