//! Leases on fills: one node of all asks the origin for what Redis lacks (memcached's leases, NSDI '13). Efficiency only: who has none may
//! fill as well, and without Redis everybody does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use edge_cache_core::{FillLease, Lease, marker::Fence};
use tokio::time::{sleep, timeout};

use crate::{link::Link, lua::Lua};

/// How long a lease lasts unless it is lengthened.
const LASTS: Duration = Duration::from_secs(5);

/// How long it is known that one was given back: longer than it takes from looking for an entry to asking for the lease of its key.
const KNOWN: Duration = Duration::from_secs(2);

/// What `take.lua` says of a lease that somebody else gave back less than [`KNOWN`] ago.
const AFTER_ANOTHER: u8 = 2;

/// Takes, lengthens and gives back leases. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Leases(Arc<Inner>);

struct Inner {
    link: Link,
    wait: Duration,
    take: Lua,
    keep: Lua,
}

impl Leases {
    pub(crate) fn new(link: Link, wait: Duration) -> Self {
        let (take, keep) = (Lua::new(include_str!("leases/take.lua")), Lua::new(include_str!("leases/keep.lua")));
        Self(Arc::new(Inner { link, wait, take, keep }))
    }

    /// Asks for the lease called `name`, for a fill that began at `fence`.
    pub(crate) async fn take(&self, name: String, fence: Fence, takes_over: bool) -> Lease {
        let token = format!("{:016x}", rand::random::<u64>());
        let args = [
            token.clone(),
            format!("{:032x}", { fence.incarnation }),
            fence.seq.to_string(),
            millis(LASTS),
            u8::from(takes_over).to_string(),
        ];
        let mut link = self.0.link.clone();
        match timeout(self.0.wait, self.0.take.call::<u8>(&mut link, &[&name], &args)).await {
            Ok(Ok(0)) => Lease::Taken,
            Ok(Ok(granted)) => Lease::Granted(self.granted(name, token).following(granted == AFTER_ANOTHER)),
            // Without an answer there are no leases.
            Ok(Err(_)) | Err(_) => Lease::Free,
        }
    }

    fn granted(&self, name: String, token: String) -> FillLease {
        let (this, kept, held) = (self.clone(), name.clone(), token.clone());
        let is_lost = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&is_lost);
        let keeping = tokio::spawn(async move {
            while {
                sleep(LASTS / 3).await;
                this.keep(&kept, &held, LASTS, false).await
            } {}
            noted.store(true, Ordering::Release);
        });
        let this = self.clone();
        FillLease::new(move || {
            keeping.abort();
            // Where the runtime is gone the lease ends by itself.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { this.keep(&name, &token, KNOWN, true).await });
            }
        })
        .noting(is_lost)
    }

    /// Whether it was still held.
    async fn keep(&self, name: &str, token: &str, lasts: Duration, gives_back: bool) -> bool {
        let (mut link, args) =
            (self.0.link.clone(), [token.to_owned(), millis(lasts), u8::from(gives_back).to_string()]);
        matches!(timeout(self.0.wait, self.0.keep.call::<u8>(&mut link, &[name], &args)).await, Ok(Ok(1)))
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
