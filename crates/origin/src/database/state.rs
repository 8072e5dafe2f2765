use std::time::Duration;

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
