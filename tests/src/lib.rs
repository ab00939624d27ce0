//! Stories over real sockets, the graph of crates, and tidy. The tests themselves lie in `tests/tests/`.
