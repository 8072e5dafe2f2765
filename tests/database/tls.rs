//! TLS to Postgres.

use edge_cache_origin::database::{Database, DatabaseConfig};
use edge_cache_sandbox::Postgres;

use crate::support::{config, open};

/// A server for `localhost`, and a file with its certificate.
async fn server() -> (Postgres, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &cert).unwrap();
    (Postgres::builder().tls(&cert, &key).start().await.unwrap(), file)
}

fn at(host: &str, postgres: &Postgres, query: &str) -> DatabaseConfig {
    config(&format!("{}?{query}", postgres.url().replace("127.0.0.1", host)))
}

#[tokio::test]
async fn a_connection_is_encrypted_and_checked() {
    let (postgres, root) = server().await;
    let root = root.path().display();
    for mode in ["require", "verify-full"] {
        let db = open(at("localhost", &postgres, &format!("sslmode={mode}&sslrootcert={root}"))).await;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert!(db.query(sql, &[]).await.unwrap()[0].bool("ssl").unwrap());
    }
    let plain = open(at("localhost", &postgres, "sslmode=disable")).await;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(!plain.query(sql, &[]).await.unwrap()[0].bool("ssl").unwrap());
}

#[tokio::test]
async fn a_certificate_of_another_name_or_of_nobody_known_is_refused() {
    let (postgres, root) = server().await;
    let other_name = at("127.0.0.1", &postgres, &format!("sslmode=require&sslrootcert={}", root.path().display()));
    let unknown = at("localhost", &postgres, "sslmode=require");
    for (config, why) in [(other_name, "not valid for name"), (unknown, "UnknownIssuer")] {
        let refused = Database::connect(config).await.unwrap_err();
        let said = format!("{refused:?}");
        assert!(said.contains(why) || said.contains("NotValidForName"), "{said}");
    }
}

#[tokio::test]
async fn a_mode_that_would_check_nothing_is_refused() {
    for mode in ["prefer", "allow", "verify-ca", "yes"] {
        let refused = config(&format!("postgres://ann:pw@db.example/x?sslmode={mode}")).validate().unwrap_err();
        assert!(refused.to_string().contains("must have sslmode disable, require or verify-full"), "{refused}");
    }
    let missing = config("postgres://db.example/x?sslmode=require&sslrootcert=no/such.pem").validate().unwrap_err();
    assert!(missing.to_string().contains("must name a PEM file"), "{missing}");
}
