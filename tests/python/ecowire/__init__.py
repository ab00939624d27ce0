"""A second implementation of SPEC.md, to be checked against the first one: standard library and `cryptography` only."""
