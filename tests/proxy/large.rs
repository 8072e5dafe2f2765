//! A body far larger than any tier takes passes in constant memory.

use bytes::Bytes;
use edge_cache_tests::{Origin, ProxyBuilder, Reply};
use http_body_util::{BodyExt, StreamBody};

const PIECE: usize = 64 << 10;
const GIB: usize = 1 << 30;

#[tokio::test]
async fn a_gibibyte_passes_in_constant_memory() {
    let origin = Origin::start(|request| async move {
        let piece = Bytes::from(vec![b'x'; PIECE]);
        let pieces =
            futures_util::stream::iter((0..GIB / PIECE).map(move |_| Ok(http_body::Frame::data(piece.clone()))));
        let reply =
            Reply::new(200).header("cache-control", "max-age=60").stream(StreamBody::new(pieces).boxed_unsync());
        if request.seen.target == "/known" { reply.header("content-length", &GIB.to_string()) } else { reply }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    // What the tiers and the buffers need at all.
    proxy.client().ask("HEAD", "/").send().await;
    let before = proxy.memory_peak_bytes();
    for target in ["/known", "/grown"] {
        let mut answer = proxy.client().get(target).open().await;
        let mut len = 0;
        while let Some(piece) = answer.next().await {
            len += piece.len();
        }
        assert_eq!(len, GIB, "{target}");
    }
    let grown = proxy.memory_peak_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more at the peak, for two bodies of {GIB}");
}
