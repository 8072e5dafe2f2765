/// What the end of a call says of the callee's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is well.
    Success,
    /// It is not.
    Failure,
    /// Nothing: the fault is the caller's. A probe that ends so gives its place back.
    Ignore,
}

/// Judges the ends of calls. Every `Fn(Result<&Res, &Err>) -> Verdict` does.
pub trait Classify<Res, Err> {
    /// What `result` says of the callee.
    fn classify(&self, result: Result<&Res, &Err>) -> Verdict;
}

impl<F, Res, Err> Classify<Res, Err> for F
where
    F: Fn(Result<&Res, &Err>) -> Verdict,
{
    fn classify(&self, result: Result<&Res, &Err>) -> Verdict {
        self(result)
    }
}
