//! A running node, as commands reach it: by `http://` or, checked, by `https://`. Operators' commands and those that ask as readers share it.

mod address;
mod args;
mod ask;
mod dialer;
mod error;
mod stream;

pub(crate) use self::{address::Address, args::TlsArgs, ask::ask, dialer::Dialer, error::DialError};
