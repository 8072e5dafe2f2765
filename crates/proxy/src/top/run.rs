//! From the command line to the screen, or to one snapshot.

use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow};
use http::HeaderValue;
use ratatui::{DefaultTerminal, crossterm::event};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

use super::{
    Args,
    feed::{self, Event, Patience, Source},
    keys::{After, press},
    model,
    node::{Node, Status},
    plain, screen,
    theme::Theme,
    view::View,
};
use crate::{
    admin::TOKEN_VARIABLE,
    exit::{UsageError, say},
    shutdown::Signals,
};

/// A snapshot takes no longer, whatever the nodes do.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(15);
/// Events between the feeds and the screen; feeds wait for a screen that is slow.
const EVENTS_MAX: usize = 64;
/// How soon the reader of keys sees that nobody wants them any more.
const KEYS_PAUSE: Duration = Duration::from_millis(200);
/// How often the times on the screen go on where nothing else does.
const TICK: Duration = Duration::from_secs(1);

/// `cache-proxy top`.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let sources = sources(&args, token()?, Patience::default())?;
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let theme = Theme::new(args.plain, no_colour);
    if args.once || args.json || !stdout().is_terminal() {
        return snapshot(sources, args.json, theme).await;
    }
    watch(sources, theme).await
}

fn token() -> anyhow::Result<Option<HeaderValue>> {
    let Some(token) = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty()) else { return Ok(None) };
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.map_err(|_| UsageError(format!("{TOKEN_VARIABLE}: is no value of a header")))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn sources(args: &Args, token: Option<HeaderValue>, patience: Patience) -> Result<Vec<Source>, UsageError> {
    let nodes = args.nodes()?;
    Ok(nodes.into_iter().map(|node| Source { node, token: token.clone(), patience }).collect())
}

/// Feeds that end when this is dropped.
struct Feeds {
    nodes: Vec<Node>,
    events: mpsc::Receiver<(usize, Event)>,
    tasks: JoinSet<()>,
}

impl Feeds {
    fn follow(sources: Vec<Source>) -> Self {
        let nodes = sources.iter().map(|source| Node::new(source.node.to_string())).collect();
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let mut tasks = JoinSet::new();
        for (number, source) in sources.into_iter().enumerate() {
            tasks.spawn(feed::follow(source, number, sender.clone()));
        }
        Self { nodes, events, tasks }
    }

    /// Waits for news, and hears what else has come by then, which is drawn at once.
    ///
    /// # Errors
    /// A feed has failed in this program; they do not end otherwise.
    async fn news(&mut self) -> anyhow::Result<()> {
        let first = tokio::select! {
            event = self.events.recv() => event,
            Some(ended) = self.tasks.join_next() => {
                ended.context("a feed failed")?;
                None
            }
        };
        let (number, event) = first.context("the feeds have ended")?;
        let now = Instant::now();
        self.nodes[number].hear(event, now);
        // No more than the queue holds: whoever never stops talking must not keep the keys from being heard.
        for _ in 0..EVENTS_MAX {
            let Ok((number, event)) = self.events.try_recv() else { break };
            self.nodes[number].hear(event, now);
        }
        Ok(())
    }
}

/// One look at the nodes, each of which tells what is, or why it does not.
async fn look(sources: Vec<Source>, patience: Duration) -> anyhow::Result<Vec<Node>> {
    let mut feeds = Feeds::follow(sources);
    let deadline = Instant::now() + patience;
    while feeds.nodes.iter().any(|node| node.status == Status::Connecting) {
        match timeout_at(deadline, feeds.news()).await {
            Ok(news) => news?,
            Err(_) => break,
        }
    }
    Ok(feeds.nodes)
}

async fn snapshot(sources: Vec<Source>, json: bool, theme: Theme) -> anyhow::Result<ExitCode> {
    let nodes = look(sources, SNAPSHOT_PATIENCE).await?;
    let text = describe(&nodes, json, theme)?;
    for node in nodes.iter().filter_map(missing) {
        eprintln!("cache-proxy: {node}");
    }
    say(text);
    Ok(ExitCode::SUCCESS)
}

/// What the nodes say together.
///
/// # Errors
/// None of them says anything.
fn describe(nodes: &[Node], json: bool, theme: Theme) -> anyhow::Result<String> {
    if !nodes.iter().any(Node::is_live) {
        let missing: Vec<String> = nodes.iter().filter_map(missing).collect();
        return Err(anyhow!("no node answers: {}", missing.join("; ")));
    }
    let sum = model::sum(nodes, None);
    if json { Ok(serde_json::to_string_pretty(&sum)?) } else { Ok(plain::text(&sum, theme, Instant::now())) }
}

/// Which node says nothing, and why.
fn missing(node: &Node) -> Option<String> {
    let admin = &node.admin;
    match &node.status {
        Status::Live => None,
        Status::Connecting => Some(format!("{admin}: nothing within {SNAPSHOT_PATIENCE:?}")),
        Status::Lost { why, .. } => Some(format!("{admin}: {why}")),
    }
}

/// The terminal as a screen, and as it was when this is dropped. A panic restores it too: ratatui sets a hook.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> anyhow::Result<Self> {
        ratatui::try_init().map(Self).context("the terminal cannot be drawn on").inspect_err(|_| {
            // It may have come half way.
            ratatui::restore();
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn watch(sources: Vec<Source>, theme: Theme) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let mut feeds = Feeds::follow(sources);
    let mut view = View::default();
    let mut screen = Screen::open()?;
    let mut keys = read_keys();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = Instant::now();
        let drawn = screen.0.draw(|frame| screen::draw(frame, &feeds.nodes, &mut view, theme, now));
        drawn.context("the terminal cannot be drawn on")?;
        tokio::select! {
            news = feeds.news() => news?,
            key = keys.recv() => match key {
                Some(key) if press(&key, &mut view, feeds.nodes.len()) == After::Quit => break,
                Some(_) => {}
                // The terminal is gone.
                None => break,
            },
            _ = tick.tick() => {}
            () = signals.next() => break,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reading keys blocks, so a thread does it. It ends with the receiver.
fn read_keys() -> mpsc::Receiver<event::Event> {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    thread::spawn(move || {
        while !sender.is_closed() {
            match event::poll(KEYS_PAUSE) {
                Ok(false) => {}
                Ok(true) => {
                    let Ok(key) = event::read() else { return };
                    if sender.blocking_send(key).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests;
