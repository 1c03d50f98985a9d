//! How it is solved: one folder for each protocol.
