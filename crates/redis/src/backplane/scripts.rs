//! The scripts that this crate runs on Redis, with their arguments and answers in types.

use edge_cache_core::{
    TagHash,
    marker::{Fence, Guard, News, PurgeKind, Record, Ticket},
};
use redis::{RedisError, aio::ConnectionLike};

use crate::lua::Lua;

/// Markers that one answer brings at most.
pub(super) const PAGE: usize = 1000;
/// Tags that one purge numbers at most: a page always holds more than those of one number.
pub(super) const TAGS_MAX: usize = 500;
const MARKERS_MAX: usize = 100_000;
/// Markers older than this are forgotten: longer than any entry lives.
const RETENTION_MICROS: u64 = 7 * 86_400 * 1_000_000;

/// The scripts, and the keys that they touch: all in one hash slot, so that they run on a cluster too.
pub(super) struct Scripts {
    meta: String,
    marks: String,
    nodes: String,
    channel: String,
    audit: String,
    sync: Lua,
    purge: Lua,
    check: Lua,
    strike: Lua,
}

/// What a node says of itself when it asks for news.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) node: &'a str,
    pub(super) follows: u128,
    pub(super) seq: u64,
    pub(super) confirms: u64,
    pub(super) cursor: (u128, u64),
    pub(super) settled: bool,
    pub(super) lease_millis: u64,
    pub(super) strict: bool,
}

/// A page of news, and how many nodes there are.
pub(super) struct Page {
    pub(super) news: News,
    pub(super) nodes: usize,
    /// The longest lease that any node was told.
    pub(super) lease_millis: u64,
    pub(super) is_last: bool,
}

/// A node as Redis knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) node: String,
    pub(super) confirmed: u64,
    /// When it spoke last.
    pub(super) spoken: String,
}

/// A purge that has its number.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) incarnation: u128,
    pub(super) seq: u64,
    pub(super) clean: bool,
    pub(super) settled: bool,
    pub(super) lease_millis: u64,
    pub(super) strict: bool,
    pub(super) peers: Vec<Peer>,
}

/// What a script answered.
pub(super) enum Answer<T> {
    Given(T),
    /// Redis lost the order of purges that the node follows.
    Lost,
    /// What these scripts do not say.
    Malformed(&'static str),
}

type SyncReply = (String, String, String, String, String, String, usize, Vec<(String, String)>);
type PurgeReply = (String, String, String, String, String, Vec<(String, String)>);

impl Scripts {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |name: &str| format!("{{{prefix}}}:{name}");
        Self {
            meta: key("meta"),
            marks: key("marks"),
            nodes: key("nodes"),
            channel: key("bp"),
            audit: key("audit"),
            sync: Lua::new(include_str!("sync.lua")),
            purge: Lua::new(include_str!("purge.lua")),
            check: Lua::new(include_str!("check.lua")),
            strike: Lua::new(include_str!("strike.lua")),
        }
    }

    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    fn keys(&self) -> [&str; 3] {
        [&self.meta, &self.marks, &self.nodes]
    }

    pub(super) async fn sync(
        &self,
        connection: &mut impl ConnectionLike,
        ask: Ask<'_>,
    ) -> Result<Answer<Page>, RedisError> {
        let flag = |flag: bool| u8::from(flag).to_string();
        let args = [
            ask.node.to_owned(),
            hex(ask.follows),
            ask.seq.to_string(),
            ask.confirms.to_string(),
            hex(ask.cursor.0),
            ask.cursor.1.to_string(),
            hex(rand::random::<u128>().max(1)),
            PAGE.to_string(),
            flag(ask.settled),
            ask.lease_millis.to_string(),
            flag(ask.strict),
        ];
        let reply: SyncReply = self.sync.call(connection, &self.keys(), &args).await?;
        Ok(Answer::of(page(reply)))
    }

    pub(super) async fn purge(
        &self,
        connection: &mut impl ConnectionLike,
        (node, follows): (&str, Fence),
        ticket: &Ticket,
        guard: Option<&Guard>,
    ) -> Result<Answer<Numbered>, RedisError> {
        let guarded = guard.map_or(&[][..], |guard| &guard.tags);
        let mut args = vec![
            hex(follows.incarnation),
            letter(ticket.kind).to_owned(),
            MARKERS_MAX.to_string(),
            RETENTION_MICROS.to_string(),
            self.channel.clone(),
            node.to_owned(),
            follows.seq.to_string(),
            guard.map_or(0, |guard| guard.start.fence.seq).to_string(),
            guarded.len().to_string(),
        ];
        args.extend(guarded.iter().chain(&ticket.tags).map(|tag| name(*tag)));
        let reply: PurgeReply = self.purge.call(connection, &self.keys(), &args).await?;
        let (seq, clean, settled, lease, strict, nodes) = reply;
        if seq == "lost" {
            return Ok(Answer::Lost);
        }
        let numbered = || {
            Some(Numbered {
                incarnation: follows.incarnation,
                seq: number(&seq)?,
                clean: clean == "1",
                settled: settled == "1",
                lease_millis: number(&lease)?,
                strict: strict == "1",
                peers: peers(nodes),
            })
        };
        Ok(Answer::of(numbered().ok_or("number of a purge")))
    }

    /// The nodes, if the purge `seq` is still kept.
    pub(super) async fn check(
        &self,
        connection: &mut impl ConnectionLike,
        incarnation: u128,
        seq: u64,
    ) -> Result<Answer<Vec<Peer>>, RedisError> {
        let args = [hex(incarnation), seq.to_string()];
        let reply: (String, Vec<(String, String)>) = self.check.call(connection, &self.keys(), &args).await?;
        Ok(if reply.0 == "kept" { Answer::Given(peers(reply.1)) } else { Answer::Lost })
    }

    /// As [`check`](Self::check), and how many replicas have all that this connection wrote, after `wait_millis` at most. One pipeline on one
    /// connection: WAIT counts for that alone.
    pub(super) async fn check_with_replicas(
        &self,
        connection: &mut impl ConnectionLike,
        (incarnation, seq): (u128, u64),
        (wanted, wait_millis): (u32, u64),
    ) -> Result<Answer<u32>, RedisError> {
        let mut pipeline = redis::pipe();
        let keys = self.keys();
        pipeline
            .cmd("EVAL")
            .arg(self.check.text())
            .arg(keys.len())
            .arg(&keys)
            .arg(hex(incarnation))
            .arg(seq.to_string());
        pipeline.cmd("WAIT").arg(wanted).arg(wait_millis);
        let (checked, replicas): ((String, Vec<(String, String)>), u32) = pipeline.query_async(connection).await?;
        Ok(if checked.0 == "kept" { Answer::Given(replicas) } else { Answer::Lost })
    }

    pub(super) async fn strike(&self, connection: &mut impl ConnectionLike, peer: &Peer) -> Result<(), RedisError> {
        let args = [peer.node.clone(), peer.spoken.clone()];
        self.strike.call(connection, &[&self.nodes], &args).await
    }

    /// The node leaves.
    pub(super) async fn bye(&self, connection: &mut impl ConnectionLike, node: &str) -> Result<(), RedisError> {
        let mut command = redis::cmd("HDEL");
        command.arg(&self.nodes).arg(node).arg(format!("{node}:n"));
        command.query_async::<()>(connection).await
    }

    /// Writes down who purged what, and why. Nothing depends on it.
    pub(super) async fn audit(
        &self,
        connection: &mut impl ConnectionLike,
        fields: &[(&str, String)],
    ) -> Result<(), RedisError> {
        let mut command = redis::cmd("XADD");
        command.arg(&self.audit).arg("MAXLEN").arg("~").arg(10_000).arg("*");
        for (name, value) in fields {
            command.arg(name).arg(value);
        }
        command.query_async::<()>(connection).await
    }
}

impl<T> Answer<T> {
    fn of(result: Result<T, &'static str>) -> Self {
        result.map_or_else(Self::Malformed, Self::Given)
    }
}

fn page((incarnation, base, seq, floor, strict, lease, nodes, items): SyncReply) -> Result<Page, &'static str> {
    let is_last = items.len() < PAGE;
    let markers = items.iter().map(|(member, score)| marker(member, score)).collect::<Option<Vec<_>>>();
    let news = News {
        incarnation: u128::from_str_radix(&incarnation, 16).map_err(|_| "incarnation")?,
        base: number(&base).ok_or("base")?,
        seq: number(&seq).ok_or("seq")?,
        floor: number(&floor).ok_or("floor")?,
        markers: markers.ok_or("marker")?,
        strict: strict == "1",
    };
    // Two fields a node, beside the one that is always there.
    Ok(Page { news, nodes: nodes / 2, lease_millis: number(&lease).ok_or("lease")?, is_last })
}

fn peers(fields: Vec<(String, String)>) -> Vec<Peer> {
    let spoken = |node: &str| {
        let count = format!("{node}:n");
        fields.iter().find(|(name, _)| *name == count).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let nodes = fields.iter().filter(|(name, _)| !name.ends_with(":n") && name != "~");
    let peer = |(node, confirmed): &(String, String)| Peer {
        node: node.clone(),
        confirmed: number(confirmed).unwrap_or(0),
        spoken: spoken(node),
    };
    nodes.map(peer).collect()
}

/// Reads an announcement: `1 INCARNATION PREV SEQ NODE KIND TAG,TAG`; `None` for what is of another version, or none.
pub(super) fn record(text: &[u8]) -> Option<Record> {
    let words: Vec<&str> = std::str::from_utf8(text).ok()?.split(' ').collect();
    let ["1", incarnation, prev, seq, _node, kind, tags] = words[..] else { return None };
    Some(Record {
        incarnation: u128::from_str_radix(incarnation, 16).ok()?,
        prev: number(prev)?,
        seq: number(seq)?,
        kind: kind_of(kind)?,
        tags: tags.split(',').map(tag).collect::<Option<_>>()?,
    })
}

fn hex(incarnation: u128) -> String {
    format!("{incarnation:032x}")
}

/// Numbers travel as text: Lua rounds large ones.
fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

const fn letter(kind: PurgeKind) -> &'static str {
    match kind {
        PurgeKind::Soft => "s",
        PurgeKind::Hard => "h",
    }
}

fn kind_of(letter: &str) -> Option<PurgeKind> {
    match letter {
        "s" => Some(PurgeKind::Soft),
        "h" => Some(PurgeKind::Hard),
        _ => None,
    }
}

fn name(tag: TagHash) -> String {
    format!("{:016x}", tag.bits())
}

fn tag(name: &str) -> Option<TagHash> {
    u64::from_str_radix(name, 16).ok().map(TagHash::from_bits)
}

fn marker(member: &str, score: &str) -> Option<(PurgeKind, TagHash, u64)> {
    let (kind, name) = member.split_at_checked(1)?;
    Some((kind_of(kind)?, tag(name)?, number(score)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_read_or_left_alone() {
        let text = b"1 000000000000000000000000000000ff 10 12 n s 000000000000000a,000000000000000b";
        let want = Record {
            incarnation: 255,
            prev: 10,
            seq: 12,
            kind: PurgeKind::Soft,
            tags: vec![TagHash::from_bits(10), TagHash::from_bits(11)],
        };
        assert_eq!(record(text), Some(want));
        for other in
            [&b""[..], b"2 ff 10 12 n s a", b"1 ff 10 12 n x a", b"1 ff 10 12 n s ", b"1 ff x 12 n s a", b"\xff"]
        {
            assert_eq!(record(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_node_is_two_fields() {
        let fields =
            [("~", ""), ("a", "7"), ("a:n", "3"), ("b:n", "1"), ("b", "0")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let peer = |node: &str, confirmed, spoken: &str| Peer { node: node.into(), confirmed, spoken: spoken.into() };
        assert_eq!(peers(fields.to_vec()), [peer("a", 7, "3"), peer("b", 0, "1")]);
    }
}
