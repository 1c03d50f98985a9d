//! State machines over a total order: batching, key-value store, leases, watches.
