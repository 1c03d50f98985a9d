//! The real world: write-ahead log, peer connections, clock and threads around a node.
