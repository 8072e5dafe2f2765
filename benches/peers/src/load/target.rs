use std::io::Write;

use edge_cache_peers::content::item_start;

use crate::{
    answer::Expected,
    args::{Many, Order},
};

/// What is asked for, key by key.
#[derive(Debug)]
pub(crate) struct Target {
    before: String,
    after: String,
    keys: u64,
    first: u64,
    order: Order,
    asked: u64,
    random: u64,
    constant: bool,
    bytes: u64,
}

impl Target {
    pub(crate) fn new(args: &Many) -> Self {
        let (before, after) = args.target.split_once("{}").unwrap_or((&args.target, ""));
        Self {
            before: format!("GET {before}"),
            after: format!("{after} HTTP/1.1\r\nhost: {}\r\naccept: */*\r\n\r\n", edge_cache_peers::HOST),
            keys: args.keys.max(1),
            first: args.first,
            order: args.order,
            asked: 0,
            // Any odd number does; a fixed one gives every server the same keys.
            random: 0x9e37_79b9_7f4a_7c15,
            constant: args.constant,
            bytes: args.bytes,
        }
    }

    /// Writes the next request into `buffer`, in place of what is there, and says what has to come back.
    pub(crate) fn next(&mut self, buffer: &mut Vec<u8>) -> Expected {
        let number = match self.order {
            Order::Sequence => self.asked,
            Order::Random => self.draw(),
        };
        self.asked += 1;
        let key = self.first + number % self.keys;
        buffer.clear();
        write!(buffer, "{}{key}{}", self.before, self.after).expect("memory takes all");
        let start = item_start(if self.constant { 0 } else { key });
        Expected { status: 200, bytes: self.bytes, start }
    }

    /// Length of a body.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Xorshift: even enough over keys, and next to nothing beside a request.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}
