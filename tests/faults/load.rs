use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use edge_cache_tests::{Client, eventually};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

const CLIENTS: usize = 4;

/// Clients that ask for `/0` to `/9` again and again until they are stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    pub(crate) fn start(client: Client) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let one = |first: usize| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut lost = Vec::new();
                for at in (first..).step_by(CLIENTS) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let target = format!("/{}", at % 10);
                    match client.get(&target).try_send().await {
                        Ok(answer) if answer.status == 200 && answer.text() == target => {}
                        Ok(answer) => lost.push(format!("{answer:?}")),
                        Err(error) => lost.push(error.to_string()),
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                lost
            })
        };
        let clients = (0..CLIENTS).map(one).collect();
        Self { stop, answered, clients }
    }

    /// Waits until `count` more requests have been answered.
    pub(crate) async fn answers(&self, count: usize) {
        let goal = self.answered.load(Ordering::Relaxed) + count;
        eventually("the load goes on", async || (self.answered.load(Ordering::Relaxed) >= goal).then_some(())).await;
    }

    /// Stops; what was not answered as it should be.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        join_all(self.clients).await.into_iter().flat_map(Result::unwrap).collect()
    }
}
