//! State machines over a total order.
//!
//! The key-value service, top down: a [`Service`] hands commands to the [`edge`], which batches them
//! into payloads and broadcasts those through any total-order protocol; what is delivered is applied
//! by the [`machine`], on the thread of the [`applier`]; its state is kept by the [`store`]; whoever
//! watches is told by [`watch`].

pub mod applier;
pub mod codec;
pub mod command;
pub mod edge;
pub mod error;
mod fresh;
pub mod gathered;
pub mod health;
pub mod introduction;
pub mod machine;
pub mod members;
pub mod reply;
pub mod service;
pub mod store;
pub mod watch;
mod works;

pub use applier::{Applier, Flushing, Workers};
pub use edge::Batcher;
pub use edge::callers::{Answer, Answers};
pub use service::{
    Assembly, Promise, Reading, Service, ServiceMetrics, ServiceOptions, ServiceStatus, Waiting,
    Writing, assemble,
};
