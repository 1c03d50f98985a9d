//! A tonic server that answers puts, gets and transactions, and does nothing: how fast a server can
//! be whose gRPC is tonic's.

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use quorate_client::proto::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, KeyValue,
    PutRequest, PutResponse, RangeRequest, RangeResponse, RangeStreamResponse, ResponseHeader,
    TxnRequest, TxnResponse, kv_server,
};
use tonic::codegen::tokio_stream;
use tonic::{Request, Response, Status};

/// The value of every key, as large as those of the rows that are measured.
static VALUE: [u8; 256] = [b'v'; 256];

struct Echo;

/// What is said of the cluster.
pub(super) fn header() -> Option<ResponseHeader> {
    Some(ResponseHeader {
        cluster_id: 1,
        member_id: 1,
        revision: 1,
        raft_term: 1,
    })
}

/// The row of any key.
pub(super) fn row(key: Bytes) -> KeyValue {
    KeyValue {
        key,
        value: Bytes::from_static(&VALUE),
        create_revision: 1,
        mod_revision: 1,
        version: 1,
        lease: 0,
    }
}

#[tonic::async_trait]
impl kv_server::Kv for Echo {
    type RangeStreamStream = tokio_stream::Empty<Result<RangeStreamResponse, Status>>;

    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        Ok(Response::new(RangeResponse {
            header: header(),
            kvs: vec![row(request.into_inner().key)],
            more: false,
            count: 1,
        }))
    }

    async fn put(&self, _request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        Ok(Response::new(PutResponse {
            header: header(),
            prev_kv: None,
        }))
    }

    async fn txn(&self, _request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        Ok(Response::new(TxnResponse {
            header: header(),
            succeeded: true,
            responses: Vec::new(),
        }))
    }

    async fn delete_range(
        &self,
        _request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        Err(Status::unimplemented("this server only echoes"))
    }

    async fn compact(
        &self,
        _request: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        Err(Status::unimplemented("this server only echoes"))
    }

    async fn range_stream(
        &self,
        _request: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented("this server only echoes"))
    }
}

/// Serves until the process ends, on a thread for each processor.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let server = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(kv_server::KvServer::new(Echo))
        .serve(listen);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(server)?;
    Ok(())
}
