//! A client of the etcd v3 API: fails over between endpoints.
