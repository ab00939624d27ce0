//! The rules and the derived state: who may send what to whom, and what everybody sees.
//!
//! Pure: the same entries lead to the same state on every machine; its clippy.toml bans clocks, files, threads and
//! hash maps. **Invariant:** the exchange knows no store and no wire; it cannot write, and it cannot be asked over one.

mod digest;

pub mod earlier;
pub mod state;

pub mod edge;
pub mod series;

pub mod admit;
pub mod advices;
pub mod refusal;
pub mod rules;
pub mod statements;

pub mod apply;
pub mod clocks;
pub mod exchange;
pub mod history;
pub mod judge;
pub mod prepared;

pub use admit::{Admission, Admitted, Found};
pub use advices::Due;
pub use apply::{ApplyError, Effect};
pub use clocks::Clocks;
pub use earlier::Earlier;
pub use exchange::{Batch, Exchange, STATE_CLAIM_INTERVAL, SnapshotPart};
pub use judge::{Finding, Gap, Judge};
pub use prepared::{Identities, Prepared};
pub use refusal::Refusal;
pub use rules::{Rule, Rules};
pub use state::{Changes, Rows, State};
pub use statements::AdmittedStatement;
