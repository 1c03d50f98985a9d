//! How it is solved: one folder for each protocol.
//!
//! Every folder has the same files, so that knowing one is knowing all; its `README.md` names the
//! paper, what is implemented, and where it deviates.
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod chain;
pub mod embed;
mod lease;
pub mod log;
pub mod members;
pub mod multipaxos;
pub mod museum;
pub mod paxos_commit;
pub mod primary_backup;
pub mod raft;
mod reads;
pub mod strategies;
pub mod synod;
pub mod two_phase_commit;
pub mod views;
pub mod viewstamped;
