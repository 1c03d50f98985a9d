//! A cluster of one, through crashes and with a damaged disk.
