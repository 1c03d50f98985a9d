use super::*;

#[test]
fn the_usual_ways_to_write_an_endpoint() {
    for (text, authority) in [
        ("127.0.0.1:2379", "127.0.0.1:2379"),
        ("http://127.0.0.1:2379", "127.0.0.1:2379"),
        ("http://db.example:2379/", "db.example:2379"),
        (" localhost:1 ", "localhost:1"),
        ("http://[::1]:2379", "[::1]:2379"),
    ] {
        let address = Address::parse(text).expect("a valid endpoint");
        assert_eq!(address.authority(), authority);
    }
}

#[test]
fn a_wrong_endpoint_is_refused_with_what_to_write() {
    for (text, hint) in [
        ("", "no port"),
        ("localhost", "no port"),
        (":2379", "no host"),
        ("::1:2379", "brackets"),
        ("localhost:0", "1 to 65535"),
        ("localhost:http", "1 to 65535"),
        ("https://localhost:2379", "TLS"),
        ("unix://socket", "scheme"),
        ("localhost/path:1", "more than a host"),
    ] {
        let error = Address::parse(text).expect_err(text).to_string();
        assert!(error.contains(hint), "{text:?} gave: {error}");
    }
}
