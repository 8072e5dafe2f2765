use std::{
    io::{BufRead, BufReader, Read},
    sync::Arc,
    thread,
};

use tokio::{sync::watch, time::timeout};

use crate::PATIENCE;

/// The lines that a child has written so far, and whether it can write more.
#[derive(Clone, Debug, Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

/// Collects what a child writes, so that it never blocks on a full pipe.
#[derive(Clone, Debug)]
pub(crate) struct Output(Arc<watch::Sender<Written>>);

impl Output {
    pub(crate) fn of(pipe: impl Read + Send + 'static) -> Self {
        let sender = Arc::new(watch::Sender::new(Written::default()));
        let writer = Arc::clone(&sender);
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let Ok(line) = line else { break };
                writer.send_modify(|written| written.lines.push(line));
            }
            writer.send_modify(|written| written.ended = true);
        });
        Self(sender)
    }

    pub(crate) fn text(&self) -> String {
        self.0.borrow().lines.join("\n")
    }

    /// The first line that begins with `start`, or `None` when the child ends without it.
    ///
    /// # Panics
    /// When neither happens in time.
    pub(crate) async fn line(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let find = |written: &Written| written.lines.iter().find(|line| fits(line)).cloned();
        let mut changes = self.0.subscribe();
        let wait = changes.wait_for(|written| written.ended || find(written).is_some());
        let written = timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no such line in {}", self.text()));
        find(&written.expect("this handle keeps the sender"))
    }

    /// Everything, once the child has closed its end.
    pub(crate) async fn all(&self) -> String {
        let mut changes = self.0.subscribe();
        let ended = timeout(PATIENCE, changes.wait_for(|written| written.ended)).await;
        drop(ended.expect("the child closes its output in time").expect("this handle keeps the sender"));
        self.text()
    }
}
