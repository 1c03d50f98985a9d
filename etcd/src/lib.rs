//! The etcd v3 API over the key-value service.

pub mod proto;
