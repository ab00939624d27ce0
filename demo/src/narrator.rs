//! What the demo says: a numbered step, what happened, sizes and times. Words that an officer understands.

use std::time::{Duration, Instant};

/// Prints steps and remembers when the current one began.
#[derive(Debug)]
pub struct Narrator {
    step: u32,
    began: Instant,
}

impl Narrator {
    /// Nothing said yet.
    #[must_use]
    pub fn new() -> Self {
        Self { step: 0, began: Instant::now() }
    }

    /// Opens the next step.
    pub fn step(&mut self, title: &str) {
        self.step += 1;
        self.began = Instant::now();
        println!("\n{}. {title}", self.step);
    }

    /// Says one thing of the current step.
    pub fn say(&self, text: &str) {
        println!("   {text}");
    }

    /// Says one thing, and how long it took since the step began or the last timed line.
    pub fn timed(&mut self, text: &str) {
        println!("   {text} ({})", millis(self.began.elapsed()));
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
