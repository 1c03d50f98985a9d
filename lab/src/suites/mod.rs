//! What the worlds must know of each protocol.
