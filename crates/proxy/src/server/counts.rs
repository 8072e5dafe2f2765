//! What is counted of clients that were turned away.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use edge_cache::telemetry::{Metrics, Reading, catalogue};
use http::StatusCode;

/// What a refusal may say.
const REFUSALS: [StatusCode; 8] = [
    StatusCode::BAD_REQUEST,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::URI_TOO_LONG,
    StatusCode::EXPECTATION_FAILED,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::NOT_IMPLEMENTED,
    StatusCode::LOOP_DETECTED,
];

/// Requests refused, by the status they got. Clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct RefusedRequests(Arc<[AtomicU64; REFUSALS.len()]>);

impl RefusedRequests {
    /// A count that the metrics show.
    pub(super) fn watched(metrics: &Metrics) -> Self {
        let counts = Arc::<[AtomicU64; REFUSALS.len()]>::default();
        for (at, status) in REFUSALS.iter().enumerate() {
            let counts = Arc::clone(&counts);
            let count = Reading::counter(&catalogue::REQUESTS_REFUSED, move || counts[at].load(Relaxed));
            metrics.read_at_scrape(count.labelled(status.as_str().to_owned()));
        }
        Self(counts)
    }

    pub(super) fn count(&self, status: StatusCode) {
        if let Some(at) = REFUSALS.iter().position(|known| *known == status) {
            self.0[at].fetch_add(1, Relaxed);
        }
    }
}

/// Why a connection was not served to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its client has as many as it may.
    Limit,
    /// TLS did not come about, or nothing came in time.
    Handshake,
    /// A trusted proxy did not say for whom it connects.
    ProxyHeader,
    /// Most of its requests were taken back.
    Abuse,
    /// It was twice as old as one may be.
    Age,
    /// Its client made no room for what is there for it.
    Stalled,
}

impl Cut {
    const ALL: [(Self, &str); 6] = [
        (Self::Limit, "limit"),
        (Self::Handshake, "handshake"),
        (Self::ProxyHeader, "proxy-header"),
        (Self::Abuse, "abuse"),
        (Self::Age, "age"),
        (Self::Stalled, "stalled"),
    ];
}

/// Connections cut, by why. Clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct CutConnections(Arc<[AtomicU64; Cut::ALL.len()]>);

impl CutConnections {
    /// A count that the metrics show.
    pub(super) fn watched(metrics: &Metrics) -> Self {
        let counts = Arc::<[AtomicU64; Cut::ALL.len()]>::default();
        for (cut, label) in Cut::ALL {
            let counts = Arc::clone(&counts);
            let count =
                Reading::counter(&catalogue::CLIENT_CONNECTIONS_CUT, move || counts[cut as usize].load(Relaxed));
            metrics.read_at_scrape(count.labelled(label));
        }
        Self(counts)
    }

    pub(super) fn count(&self, cut: Cut) {
        self.0[cut as usize].fetch_add(1, Relaxed);
    }
}
