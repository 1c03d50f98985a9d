//! Load generators for any etcd endpoint.
