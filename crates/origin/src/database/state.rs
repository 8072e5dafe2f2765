use std::time::Duration;

use edge_cache_breaker::State;

/// What the connections are doing, and what they did since the start. Counters never fall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolState {
    /// Most connections allowed; 0 for no bound.
    pub connections_max: u32,
    /// Open connections.
    pub connections: u32,
    /// Open connections that nobody uses.
    pub idle: u32,
    /// Open connections at work.
    pub in_use: u32,
    /// Callers that wait for a connection now.
    pub waiting: u64,
    /// Checkouts asked for.
    pub checkouts: u64,
    /// Checkouts that had to wait.
    pub waits: u64,
    /// Time spent waiting by them all.
    pub wait_time: Duration,
    /// Checkouts given up at the acquire timeout.
    pub timeouts: u64,
    /// Connections opened.
    pub created: u64,
    /// Connections closed because they broke or were left in the middle of a statement or transaction.
    pub closed_broken: u64,
    /// Connections closed for age or idleness.
    pub closed_aged: u64,
    /// Connects that failed.
    pub connect_errors: u64,
}

impl PoolState {
    /// What two pools do together. The bound is one for both.
    pub(super) fn beside(self, other: &Self) -> Self {
        Self {
            connections_max: self.connections_max.max(other.connections_max),
            connections: self.connections + other.connections,
            idle: self.idle + other.idle,
            in_use: self.in_use + other.in_use,
            waiting: self.waiting + other.waiting,
            checkouts: self.checkouts + other.checkouts,
            waits: self.waits + other.waits,
            wait_time: self.wait_time + other.wait_time,
            timeouts: self.timeouts + other.timeouts,
            created: self.created + other.created,
            closed_broken: self.closed_broken + other.closed_broken,
            closed_aged: self.closed_aged + other.closed_aged,
            connect_errors: self.connect_errors + other.connect_errors,
        }
    }
}

/// What a way to the database is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Asked first.
    Primary,
    /// Asked where those before it cannot be.
    Fallback,
    /// Asked for reads alone.
    Replica,
}

impl Role {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Fallback => "fallback",
            Self::Replica => "replica",
        }
    }
}

/// One way to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointState {
    /// Where it leads: `HOST:PORT`.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Whether it is used.
    pub breaker: State,
    /// How often it was found not to be fit for use.
    pub breaker_opened: u64,
    /// Its connections.
    pub pool: PoolState,
}
