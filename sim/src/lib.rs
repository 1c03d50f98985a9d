//! Small deterministic worlds: the runner of golden scripts.
