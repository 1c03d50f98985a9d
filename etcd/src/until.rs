//! Streams that may have to end early.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::BoxFuture;
use tonic::Status;

/// A stream of answers that ends with an error once `end` says why.
pub(crate) struct Until<S> {
    stream: S,
    /// Nothing more comes after the reason was told.
    end: Option<BoxFuture<'static, Status>>,
}

impl<S> Until<S> {
    pub(crate) fn new(stream: S, end: impl Future<Output = Status> + Send + 'static) -> Until<S> {
        Until {
            stream,
            end: Some(Box::pin(end)),
        }
    }
}

impl<T, S: Stream<Item = Result<T, Status>> + Unpin> Stream for Until<S> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(reason) = end.as_mut().poll(cx) {
            self.end = None;
            return Poll::Ready(Some(Err(reason)));
        }
        Pin::new(&mut self.stream).poll_next(cx)
    }
}
