//! Helpers of the suites: the real `cache-proxy` as a child process, a client that sees every header, an origin that does as it is
//! told, and the metrics.
//!
//! Everything listens on a port that the system chose, and is gone with its handle. A broken expectation panics: this is the inside
//! of tests.

mod answer;
mod certificates;
mod client;
pub mod coherence;
mod counting_origin;
mod demo;
mod fault;
mod feed;
mod gate;
mod metrics;
mod origin;
mod output;
mod performance;
pub mod pki;
mod proxy;
mod raw_origin;
mod reply;
mod resp;
pub mod soak;
mod tls_front;
mod wait;
mod wire_origin;

pub use self::{
    answer::Answer,
    certificates::{Authority, Issued},
    client::{Ask, Client, Opened, raw, raw_over},
    counting_origin::{Arrival, CountingOrigin},
    demo::Demo,
    fault::{Fault, Way},
    feed::{Feed, Feeder},
    gate::Gate,
    metrics::Samples,
    origin::{Arrived, Origin, Seen},
    performance::{Performance, figure, row},
    proxy::{CpuTime, Ended, Proxy, ProxyBuilder, allow_files, patient_database, pooled_database},
    raw_origin::{RawOrigin, RawRequest, Step},
    reply::Reply,
    resp::Resp,
    tls_front::TlsFront,
    wait::{PATIENCE, eventually},
    wire_origin::{WireOrigin, Wired, answer, echoed},
};
