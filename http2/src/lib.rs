//! HTTP/2 (RFC 9113) and HPACK (RFC 7541) without I/O.
//!
//! Bytes that came in go to [`server::Server::receive`], which answers what they mean; bytes to be
//! written pile up in one buffer, so that the answers of many streams leave in one write. The load
//! generator, which is a client, shares the [`frame`]s and the headers ([`hpack`]).
//!
//! Everything that a hostile client could make grow has a bound, which [`server::Limits`] names, and
//! frames that ask for nothing are counted ([`flood`]).

pub mod flood;
pub mod frame;
pub mod hpack;
pub mod server;
