//! Leases.

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use prost::Message;
use quorate_client::proto::{LeaseGrantRequest, LeaseKeepAliveResponse};
use quorate_client::{Client, Options};

use crate::flags::{Flags, Lease};
use crate::keys::Dice;
use crate::proto;
use crate::runner::{Requests, block_on};
use crate::wire::{Call, Failure};

/// The field of a LeaseGrantRequest, and that of a LeaseKeepAliveRequest.
const TTL: u32 = 1;
const ID: u32 = 1;

struct Grants {
    ttl: i64,
}

impl Requests for Grants {
    fn call(&self, _index: u64) -> Call {
        Call::LeaseGrant
    }

    fn encode(&self, _index: u64, _client: usize, _dice: &mut Dice, out: &mut BytesMut) {
        proto::number(TTL, self.ttl.unsigned_abs(), out);
    }
}

/// What `bench lease` does.
pub(super) fn grants(flags: &Lease) -> Box<dyn Requests> {
    Box::new(Grants { ttl: flags.ttl })
}

struct Renewals {
    /// The lease of each client.
    ids: Vec<i64>,
}

impl Requests for Renewals {
    fn call(&self, _index: u64) -> Call {
        Call::LeaseKeepAlive
    }

    fn streaming(&self) -> bool {
        true
    }

    fn encode(&self, _index: u64, client: usize, _dice: &mut Dice, out: &mut BytesMut) {
        proto::number(ID, self.ids[client] as u64, out);
    }

    fn check(&self, answer: &Bytes) -> Result<(), Failure> {
        match LeaseKeepAliveResponse::decode(&answer[..]) {
            Ok(response) if response.ttl > 0 => Ok(()),
            Ok(_) => Err(Failure("the lease is gone".to_owned())),
            Err(error) => Err(Failure(error.to_string())),
        }
    }
}

/// What `bench lease --op=keep-alive` does, after it has granted a lease to each client.
pub(super) fn renewals(flags: &Flags, lease: &Lease) -> Result<Box<dyn Requests>> {
    let client = Client::new(Options::new(flags.endpoints.clone()))?;
    let ids = block_on(async {
        let mut ids = Vec::new();
        for _ in 0..flags.clients {
            let request = LeaseGrantRequest {
                ttl: lease.ttl,
                id: 0,
            };
            let granted = client.lease_grant(request).await;
            ids.push(granted.context("cannot grant a lease")?.id);
        }
        Ok(ids)
    })?;
    Ok(Box::new(Renewals { ids }))
}
