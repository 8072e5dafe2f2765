//! One question a file.

mod big;
mod hit;
mod idle;
mod memory;
mod miss;
mod pass;
mod start;
mod tail;
mod threads;

use crate::{
    args::Question,
    bench::Bench,
    load::{self, Load},
    server::Server,
};

/// Answers one; `All` is none.
pub(crate) fn ask(bench: &mut Bench, question: Question) -> anyhow::Result<()> {
    match question {
        Question::All => Ok(()),
        Question::Hit => hit::ask(bench),
        Question::Threads => threads::ask(bench),
        Question::Tail => tail::ask(bench),
        Question::Pass => pass::ask(bench),
        Question::Miss => miss::ask(bench),
        Question::Memory => memory::ask(bench),
        Question::Big => big::ask(bench),
        Question::Idle => idle::ask(bench),
        Question::Start => start::ask(bench),
    }
}

/// Puts every key into a cache. Twice: some store behind the answer, and the second time shows what they lack.
fn fill(bench: &Bench, cache: &Server, load: &Load) -> anyhow::Result<()> {
    for _ in 0..2 {
        let turn = load::turn(bench, cache, &load.fill())?;
        anyhow::ensure!(turn.report.bad() == 0, "{} answered wrongly: {:?}", cache.name, turn.report);
    }
    Ok(())
}
