//! How an endpoint is written.

use std::fmt;

use crate::Error;

/// Where a server listens: host and port, without a scheme.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Address(String);

impl Address {
    /// Reads `host:port` or `http://host:port`, in which an IPv6 host stands in brackets.
    pub fn parse(text: &str) -> Result<Address, Error> {
        let refuse = |why: &str| Err(Error::Endpoint(format!("endpoint {text:?} {why}")));
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return refuse("asks for TLS, which is not there yet: use http://");
            }
            Some(_) => return refuse("has an unknown scheme: write host:port or http://host:port"),
            None => text,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let Some((host, port)) = authority.rsplit_once(':') else {
            return refuse("has no port: write host:port, such as 127.0.0.1:2379");
        };
        if host.is_empty() {
            return refuse("has no host: write host:port, such as 127.0.0.1:2379");
        }
        if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
            return refuse("has an IPv6 host without brackets: write [host]:port");
        }
        if host.contains(['/', '@', '?', '#', ' ']) {
            return refuse("is more than a host and a port: write host:port");
        }
        match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Address(authority.to_owned())),
            _ => refuse("has no valid port: it is a number from 1 to 65535"),
        }
    }

    /// `host:port`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
