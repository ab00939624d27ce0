//! Where a submission spends its time: one trace each, a span for each step, handed to the exporter without waiting.
//!
//! **Invariant:** a span has a word of ours, times, a size and an outcome by its stable name; there is no field that an
//! address, a reference or content could stand in. When nobody collects, a trace is nothing and costs nothing.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::clock::{SystemTimeSource, TimeSource as _};
use crate::problem::Problem;

/// A step of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Parsing, and checking of the signature.
    Verify,
    /// In the queue to the writer.
    Wait,
    /// From the writer's first look at the batch to its durable commit.
    Commit,
    /// Making the receipt.
    Receipt,
}

impl Step {
    /// Its name as a span.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Wait => "wait",
            Self::Commit => "commit",
            Self::Receipt => "receipt",
        }
    }
}

/// A submission that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// When it came, in nanoseconds since 1970.
    pub began_ns: u64,
    /// How long it took in all.
    pub took: Duration,
    /// Its steps with their beginning and end, counted from when it came.
    pub steps: Vec<(Step, Duration, Duration)>,
    /// Its size.
    pub bytes: usize,
    /// `ok`, the name of a refusal, `BUSY` with its bound, or `FAULT`.
    pub outcome: &'static str,
}

/// The way to the exporter, if there is one.
#[derive(Debug, Default)]
pub struct Spans(OnceLock<mpsc::Sender<Finished>>);

/// A submission that is under way. Dropping it forgets it.
#[derive(Debug)]
pub struct Trace(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    out: mpsc::Sender<Finished>,
    began: Instant,
    mark: Instant,
    finished: Finished,
}

impl Spans {
    /// From now on traces go there.
    pub(crate) fn export_to(&self, out: mpsc::Sender<Finished>) {
        // A gateway has one exporter.
        let _ = self.0.set(out);
    }

    /// A submission of `bytes` has come.
    #[must_use]
    pub fn begin(&self, bytes: usize) -> Trace {
        Trace(self.0.get().map(|out| {
            let (began, began_ns) = (Instant::now(), SystemTimeSource::default().wall().ms().saturating_mul(1_000_000));
            let finished = Finished { began_ns, took: Duration::ZERO, steps: Vec::with_capacity(4), bytes, outcome: "ok" };
            Box::new(Open { out: out.clone(), began, mark: began, finished })
        }))
    }
}

impl Trace {
    /// A step has ended now; it began where the last one ended.
    pub fn step(&mut self, step: Step) {
        if self.0.is_some() {
            self.step_until(step, Instant::now());
        }
    }

    /// As [`Trace::step`], for a step that ended at `end`.
    pub fn step_until(&mut self, step: Step, end: Instant) {
        let Some(open) = &mut self.0 else { return };
        let end = end.max(open.mark);
        open.finished.steps.push((step, open.mark.duration_since(open.began), end.duration_since(open.began)));
        open.mark = end;
    }

    /// The submission was answered. `false` when the exporter had no room and the trace is lost.
    pub fn end<T>(self, answer: &Result<T, Problem>) -> bool {
        let Some(open) = self.0 else { return true };
        let Open { out, began, mut finished, .. } = *open;
        finished.took = began.elapsed();
        finished.outcome = match answer {
            Ok(_) => "ok",
            Err(Problem::Refused(refusal)) => refusal.name(),
            Err(Problem::Busy { bound, .. }) => bound.word(),
            Err(Problem::Fault { .. }) => "FAULT",
        };
        out.try_send(finished).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::problem::Bound;

    #[test]
    fn steps_follow_each_other_and_a_full_exporter_loses_the_trace_and_not_the_time() {
        let spans = Spans::default();
        let mut none = spans.begin(1);
        none.step(Step::Verify);
        assert!(none.end(&Ok(())), "nobody collects: nothing is lost");

        let (out, mut finished) = mpsc::channel(1);
        spans.export_to(out);
        let mut trace = spans.begin(7);
        trace.step(Step::Verify);
        // The writer had begun its batch before this one was handed over: it did not wait.
        trace.step_until(Step::Wait, Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        trace.step(Step::Commit);
        assert!(trace.end::<()>(&Err(Problem::busy_at(Bound::Disk, "full"))));
        assert!(!spans.begin(8).end(&Ok(())), "the queue holds one");
        let finished = finished.try_recv().unwrap();
        assert_eq!((finished.bytes, finished.outcome), (7, "disk"));
        let steps: Vec<_> = finished.steps.iter().map(|(step, ..)| *step).collect();
        assert_eq!(steps, [Step::Verify, Step::Wait, Step::Commit]);
        assert!(finished.steps.windows(2).all(|pair| pair[0].2 == pair[1].1));
        assert_eq!(finished.steps[1].1, finished.steps[1].2);
        assert!(finished.steps.last().unwrap().2 <= finished.took);
    }
}
