//! What the client port says without gRPC, and the gRPC services that are not etcd's.

use super::harness::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request by hand; answers the status line and the body.
pub(crate) async fn http(server: &Server, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("{request}\r\nHost: quorate\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap();
    (status.to_owned(), body.to_owned())
}

#[tokio::test]
async fn version() {
    let server = Server::start().await;
    let (status, body) = http(&server, "GET /version HTTP/1.1").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.starts_with(r#"{"etcdserver":"3.5."#), "{body}");
    assert!(body.ends_with(r#","etcdcluster":"3.5.0"}"#), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn health() {
    let server = Server::start().await;
    for path in ["/health", "/health?serializable=true"] {
        let (status, body) = http(&server, &format!("GET {path} HTTP/1.1")).await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert_eq!(body.trim_end(), r#"{"health":"true","reason":""}"#);
    }
    server.stop().await;
}

#[tokio::test]
async fn metrics() {
    let server = Server::start().await;
    server.put("k", "v").await;
    let (status, body) = http(&server, "GET /metrics HTTP/1.1").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    for expected in [
        "etcd_server_has_leader 1",
        "etcd_server_is_leader 1",
        "etcd_mvcc_db_total_size_in_bytes ",
        "etcd_server_proposals_committed_total ",
        "etcd_debugging_mvcc_current_revision 2",
        "etcd_debugging_mvcc_watcher_total 0",
        "grpc_server_handled_total{",
    ] {
        assert!(body.contains(expected), "{expected} in\n{body}");
    }
    // Each name is described once, or Prometheus refuses the whole.
    let mut names: Vec<_> = body
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    if !server.is_real() {
        assert!(body.contains("quorate_writes_total 1\n"), "{body}");
        assert!(body.ends_with("# EOF\n"));
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_there() {
    let server = Server::start().await;
    let (status, _) = http(&server, "GET /nothing HTTP/1.1").await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    if !server.is_real() {
        let (status, _) = http(&server, "POST /version HTTP/1.1").await;
        assert_eq!(status, "HTTP/1.1 405 Method Not Allowed");
        let (status, _) = http(&server, "\0\0\0 HTTP/9").await;
        assert_eq!(status, "HTTP/1.1 400 Bad Request");
    }
    server.stop().await;
}

/// A preface that comes in pieces is HTTP/2 all the same.
#[tokio::test]
async fn a_slow_preface() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    for part in [
        "PRI * HT",
        "TP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\0\x04\0\0\0\0\0",
    ] {
        stream.write_all(part.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "the first frame is SETTINGS");
    server.stop().await;
}

/// Neither a client that says nothing nor one that never finishes keeps a server from stopping.
#[tokio::test]
async fn silent_clients_do_not_hold_up_a_stop() {
    let server = Server::start().await;
    if server.is_real() {
        return;
    }
    let mut streams = Vec::new();
    for said in ["", "PRI", "GET /heal", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    server.put("k", "v").await;
    let stopped = tokio::time::timeout(PATIENCE, server.stop()).await;
    stopped.expect("it stops");
    for mut stream in streams {
        // Closed or reset: there is an end to it.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn a_flood_of_pings_ends_the_connection() {
    let server = Server::start().await;
    if server.is_real() {
        return;
    }
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    hello.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    stream.write_all(&hello).await.unwrap();
    let (mut answers, mut requests) = stream.into_split();
    let reading = tokio::spawn(async move {
        // Ends one way or the other.
        let _ = tokio::io::copy(&mut answers, &mut tokio::io::sink()).await;
    });
    let pings = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(1000);
    let flood = async { while requests.write_all(&pings).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, flood)
        .await
        .expect("it should be stopped");
    reading.await.unwrap();
    server.put("k", "others are served").await;
    server.stop().await;
}

#[tokio::test]
async fn grpc_health() {
    let server = Server::start().await;
    let mut client = tonic_health::pb::health_client::HealthClient::new(server.channel());
    let request = tonic_health::pb::HealthCheckRequest {
        service: String::new(),
    };
    let response = client.check(request).await.unwrap().into_inner();
    assert_eq!(response.status, 1, "serving");
    server.stop().await;
}

#[tokio::test]
async fn reflection() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let server = Server::start().await;
    if server.is_real() {
        return;
    }
    let mut client = ServerReflectionClient::new(server.channel());
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let requests = futures::stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "etcdserverpb.KV.Txn".into(),
        )),
    ]);
    let mut responses = client
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner();
    let first = responses.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(services)) = first else {
        panic!("not a list: {first:?}");
    };
    let names: Vec<_> = services
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for expected in [
        "etcdserverpb.KV",
        "etcdserverpb.Watch",
        "grpc.health.v1.Health",
    ] {
        assert!(
            names.iter().any(|name| name == expected),
            "{expected} in {names:?}"
        );
    }
    let second = responses.message().await.unwrap().unwrap().message_response;
    assert!(
        matches!(second, Some(MessageResponse::FileDescriptorResponse(_))),
        "{second:?}"
    );
    server.stop().await;
}
