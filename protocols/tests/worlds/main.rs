//! Every protocol in the simulated worlds: golden scripts, random schedules, the museum of famous bugs.
//! Tests of single steps are beside each protocol.

mod chain;
mod harness;
mod multipaxos;
mod paxos_commit;
mod primary_backup;
mod raft;
mod strategies;
mod synod;
mod two_phase_commit;
mod viewstamped;
