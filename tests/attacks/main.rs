//! One test for each attack: what the attacker got, what his victim gets afterwards, and what the origin saw of both.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod confusion;
mod cpdos;
mod deception;
mod leaks;
mod poisoning;
mod ranges;
mod slow;
mod smuggling;
mod splitting;
