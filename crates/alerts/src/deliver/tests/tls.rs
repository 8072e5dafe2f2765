use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use hyper_rustls::HttpsConnectorBuilder;
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, Stream, crypto::ring};

use super::*;

struct Certificate {
    server: Arc<ServerConfig>,
    client: ClientConfig,
}

/// A certificate for `localhost`, and a client that trusts it.
fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let client = client.with_safe_default_protocol_versions().unwrap();
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![certificate], key.try_into().unwrap()).unwrap();
    Certificate { server: Arc::new(server), client: client.with_root_certificates(roots).with_no_client_auth() }
}

/// Answers one connection with 200, if it comes that far. Gives its URL and whether it did.
fn serve_once(config: Arc<ServerConfig>) -> (String, thread::JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/s3cr3t", listener.local_addr().unwrap().port());
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut connection = ServerConnection::new(config).unwrap();
        let mut stream = Stream::new(&mut connection, &mut socket);
        let mut request = Vec::new();
        // The JSON is the only part of the request that has braces.
        while !request.ends_with(b"}") {
            let mut bytes = [0; 1024];
            match stream.read(&mut bytes) {
                Ok(count) if count > 0 => request.extend_from_slice(&bytes[..count]),
                _ => return false,
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_ok()
    });
    (url, server)
}

#[tokio::test]
async fn a_receiver_is_reached_by_tls_if_it_proves_who_it_is() {
    let Certificate { server, client } = certificate();
    let trusting = HttpsConnectorBuilder::new().with_tls_config(client).https_only().enable_http1().build();
    for (connector, taken) in [(trusting, true), (post::connector(), false)] {
        let (url, server) = serve_once(Arc::clone(&server));
        let config = AlertConfig { keep: LONG, ..to_webhook(url) };
        let backoff = Backoff::new(FOREVER, || 0.99);
        let (courier, delivery) = Courier::build(&config, Sender::default(), backoff, connector).unwrap();
        courier.send(&fired()[0]);
        let lane = Arc::clone(&courier.lanes[0]);
        drop(courier);
        timeout(LONG, delivery.run()).await.unwrap();
        assert_eq!((lane.counts().sent == 1, lane.counts().failed == 1), (taken, !taken));
        assert_eq!(server.join().unwrap(), taken);
    }
}
