//! Histories as JSON lines, and verdicts on them.
