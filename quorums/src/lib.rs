//! Quorum systems as values: which sets of replicas are enough, and whether two kinds of them meet.
//!
//! A [`Rule`] says how quorums are made (`majority`, `grid:2x3`); a [`System`] is a rule together with
//! the members it is about. A protocol asks its system one question, [`System::is_quorum`]; whoever
//! configures it asks [`intersect`], which proves that every quorum of one system shares a member with
//! every quorum of the other, or shows two that do not.
#![no_std]

extern crate alloc;

mod meet;
mod rule;
mod system;

pub use meet::{Apart, ENUMERABLE_MAX, TooLarge, intersect};
pub use rule::{NoRule, Rule};
pub use system::{System, Unfit};
