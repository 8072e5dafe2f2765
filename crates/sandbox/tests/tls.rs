//! A private Postgres offers TLS when it was told to, and only then.

mod common;

use common::{PATIENCE, connect};
use edge_cache_sandbox::Postgres;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A client's question whether it may go on with TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A certificate that vouches for itself, and its key, in PEM.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("makes one");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// `S` for yes, `N` for no.
async fn offer(postgres: &Postgres) -> char {
    let mut stream = TcpStream::connect(("127.0.0.1", postgres.port())).await.expect("connects");
    stream.write_all(&SSL_REQUEST).await.expect("sends");
    let answer = timeout(PATIENCE, stream.read_u8()).await.expect("in time").expect("answers");
    answer.into()
}

#[tokio::test]
async fn is_offered_where_there_is_a_certificate() {
    let (certificate, key) = identity();
    let postgres = Postgres::builder().tls(&certificate, &key).start().await.expect("starts");
    assert_eq!(offer(&postgres).await, 'S');
    connect(postgres.url()).await.expect("who does not ask for it is served without");
    postgres.restart().await.expect("starts again");
    assert_eq!(offer(&postgres).await, 'S');

    let replica = postgres.replica().await.expect("starts");
    drop(postgres);
    replica.restart().await.expect("needs no file of its primary");
    assert_eq!(offer(&replica).await, 'S');
}

#[tokio::test]
async fn is_not_offered_without() {
    let postgres = Postgres::start().await.expect("starts");
    assert_eq!(offer(&postgres).await, 'N');
}

#[tokio::test]
async fn a_key_of_another_certificate_is_said_and_never_shown() {
    let ((certificate, _), (_, key)) = (identity(), identity());
    let builder = Postgres::builder().tls(&certificate, &key);
    assert!(!format!("{builder:?}").contains("PRIVATE KEY"));
    let error = builder.start().await.expect_err("they do not fit").to_string();
    assert!(error.contains("server.key") && error.contains("mismatch"), "{error}");
}
