use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncWriteExt, copy, split},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use crate::{Authority, Issued};

/// TLS before a server of this machine that speaks none: what is decrypted goes on to it. Gone when it is dropped.
#[derive(Debug)]
pub struct TlsFront {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    begun: AtomicUsize,
    shaken: AtomicUsize,
    cuts: AtomicBool,
}

impl TlsFront {
    /// One before `server`, which shows what was `issued`, and lets nobody in without a certificate of `of`, if that is given.
    ///
    /// # Panics
    /// When there is no free port, or the files are not what they should be.
    pub async fn before(server: SocketAddr, issued: &Issued, of: Option<&Authority>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::<Shared>::default();
        let (acceptor, noted) = (TlsAcceptor::from(Arc::new(config(issued, of))), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                noted.begun.fetch_add(1, Ordering::SeqCst);
                connections.spawn(pass(client, server, acceptor.clone(), Arc::clone(&noted)));
            }
        });
        Self { address, shared, _task: AbortOnDropHandle::new(task) }
    }

    /// `https://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Connections that came, and those of them that became encrypted ones.
    #[must_use]
    pub fn handshakes(&self) -> (usize, usize) {
        (self.shared.begun.load(Ordering::SeqCst), self.shared.shaken.load(Ordering::SeqCst))
    }

    /// From now on connections that the server ends are cut, as by somebody between: without the word that says it was the end.
    pub fn cut(&self) {
        self.shared.cuts.store(true, Ordering::SeqCst);
    }
}

fn config(issued: &Issued, of: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has suites for all versions");
    let builder = match of {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let root = CertificateDer::from_pem_file(&authority.file).expect("a certificate");
            roots.add(root).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().expect("an authority is named"))
        }
    };
    let certificate = CertificateDer::from_pem_file(&issued.cert).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&issued.key).expect("a key");
    builder.with_single_cert(vec![certificate], key).expect("the key is the certificate's")
}

async fn pass(client: TcpStream, server: SocketAddr, acceptor: TlsAcceptor, shared: Arc<Shared>) -> Option<()> {
    let client = acceptor.accept(client).await.ok()?;
    shared.shaken.fetch_add(1, Ordering::SeqCst);
    let server = TcpStream::connect(server).await.ok()?;
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let inward = async {
        drop(copy(&mut from_client, &mut to_server).await);
        drop(to_server.shutdown().await);
    };
    let outward = async {
        drop(copy(&mut from_server, &mut to_client).await);
        if !shared.cuts.load(Ordering::SeqCst) {
            drop(to_client.shutdown().await);
        }
    };
    tokio::pin!(inward, outward);
    tokio::select! {
        () = &mut inward => outward.await,
        // The server has ended: nobody reads what the client would yet send.
        () = &mut outward => {}
    }
    Some(())
}
