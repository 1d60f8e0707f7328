//! A client of etcd, as far as benchmarks need one.

use anyhow::Context as _;
use http::uri::PathAndQuery;
use prost::Message;
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use crate::etcd::VALUE_BYTES;
use crate::etcd::messages::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, PutRequest, PutResponse,
    WatchCreateRequest, WatchRequest, WatchResponse,
};

/// A connection to etcd. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Etcd {
    channel: Channel,
}

impl Etcd {
    pub(crate) fn on(channel: Channel) -> Self {
        Self { channel }
    }

    /// Registers an instance: a lease of so many seconds, and a key that goes with it. Answers the lease.
    pub(crate) async fn register(&self, key: &str, seconds: i64) -> anyhow::Result<i64> {
        let asked = LeaseGrantRequest { time_to_live: seconds };
        let granted: LeaseGrantResponse = self.call("/etcdserverpb.Lease/LeaseGrant", asked).await?;
        self.put(key, granted.id).await?;
        Ok(granted.id)
    }

    /// Writes a key that goes with a lease, or with none; answers the revision that it made.
    pub(crate) async fn put(&self, key: &str, lease: i64) -> anyhow::Result<u64> {
        let put = PutRequest { key: key.into(), value: vec![b'x'; VALUE_BYTES], lease };
        let answer: PutResponse = self.call("/etcdserverpb.KV/Put", put).await?;
        Ok(answer.header.context("a header")?.revision.try_into()?)
    }

    /// Keeps leases alive, one for each message.
    pub(crate) async fn keep_alive(
        &self,
        leases: impl Stream<Item = i64> + Send + 'static,
    ) -> anyhow::Result<Streaming<LeaseKeepAliveResponse>> {
        use tokio_stream::StreamExt as _;
        self.stream("/etcdserverpb.Lease/LeaseKeepAlive", leases.map(|id| LeaseKeepAliveRequest { id })).await
    }

    /// Follows all keys that begin with `prefix`; returns once the watch stands.
    pub(crate) async fn watch(&self, prefix: &str) -> anyhow::Result<Streaming<WatchResponse>> {
        use tokio_stream::StreamExt as _;
        let mut range_end = Vec::from(prefix);
        // All of ours end in a character that has one after it.
        *range_end.last_mut().context("a prefix")? += 1;
        let create = WatchCreateRequest { key: prefix.into(), range_end };
        // etcd ends the watch when we close our side of the stream.
        let request = tokio_stream::once(WatchRequest { create: Some(create) }).chain(tokio_stream::pending());
        let mut stream: Streaming<WatchResponse> = self.stream("/etcdserverpb.Watch/Watch", request).await?;
        let first = stream.message().await?.context("etcd ended the watch")?;
        anyhow::ensure!(first.created && !first.canceled, "etcd made no watch");
        Ok(stream)
    }

    async fn call<Q, A>(&self, path: &'static str, request: Q) -> anyhow::Result<A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await?;
        let (path, codec) = (PathAndQuery::from_static(path), ProstCodec::default());
        Ok(grpc.unary(Request::new(request), path, codec).await?.into_inner())
    }

    async fn stream<Q, A>(
        &self,
        path: &'static str,
        requests: impl Stream<Item = Q> + Send + 'static,
    ) -> anyhow::Result<Streaming<A>>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await?;
        let (path, codec) = (PathAndQuery::from_static(path), ProstCodec::default());
        Ok(grpc.streaming(Request::new(requests), path, codec).await?.into_inner())
    }
}
