use std::time::Duration;

use tokio::time::Instant;

use crate::{
    Event, Figure, Firing, Notice, Rule, Severity,
    rule::{Limit, Stand},
    text,
};

/// A rule, whether it fires, and what was told of it.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) name: String,
    pub(super) figure: Figure,
    pub(super) severity: Severity,
    pub(super) limit: Limit,
    hold: Duration,
    cooldown: Duration,
    phase: Phase,
    /// When it was last told to have fired.
    told_last: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// Well, or not yet an alert.
    Quiet {
        /// Evaluations in a row past the threshold, and the first of them.
        beyond: Option<(u32, Since)>,
        /// An end that is to be told: the alert was.
        owed: Option<Ended>,
    },
    /// An alert.
    Fires(Fires),
}

#[derive(Debug)]
struct Fires {
    since: Since,
    /// When it fired, in seconds since the Unix epoch, and at what value.
    at: f64,
    value_at: f64,
    /// The last known.
    value: f64,
    /// Evaluations that were well, of those with a value in a row.
    good: u32,
    /// Evaluations in a row without a value.
    unknown: u32,
    /// When the value was last known.
    known: Instant,
    told: bool,
    /// Whether a message was due and not let through.
    withheld: bool,
}

#[derive(Clone, Copy, Debug)]
struct Since {
    instant: Instant,
    wall: f64,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    since: Since,
    at: Since,
    value: f64,
    /// For how long nothing had been known of the figure, where that ended it.
    silent: Option<Duration>,
}

impl Watch {
    pub(super) fn new(rule: &Rule, cooldown: Duration) -> Self {
        Self {
            name: rule.name.clone(),
            figure: rule.figure,
            severity: rule.severity,
            limit: rule.limit(),
            hold: rule.hold,
            cooldown,
            phase: Phase::Quiet { beyond: None, owed: None },
            told_last: None,
        }
    }

    /// Whether both watch one figure on the same side.
    pub(super) fn is_akin(&self, other: &Self) -> bool {
        self.figure == other.figure && self.limit.side == other.limit.side
    }

    pub(super) const fn fires(&self) -> bool {
        matches!(self.phase, Phase::Fires(_))
    }

    /// What those who read messages do not know yet.
    pub(super) const fn news(&self) -> Option<Event> {
        match &self.phase {
            Phase::Fires(Fires { told: false, .. }) => Some(Event::Fired),
            Phase::Quiet { owed: Some(_), .. } => Some(Event::Recovered),
            Phase::Fires(_) | Phase::Quiet { .. } => None,
        }
    }

    /// Whether it is too early to tell again that it fired.
    pub(super) fn cools(&self, now: Instant) -> bool {
        self.told_last.is_some_and(|last| now.saturating_duration_since(last) < self.cooldown)
    }

    /// Takes in a value. True if an alert ended that was to be told and was not.
    pub(super) fn learn(&mut self, value: f64, now: Instant, wall: f64, failures: u32) -> bool {
        let (stand, here) = (self.limit.stand(value), Since { instant: now, wall });
        match &mut self.phase {
            Phase::Quiet { beyond, owed } if stand == Stand::Beyond => {
                let (count, since) = beyond.map_or((1, here), |(count, since)| (count.saturating_add(1), since));
                *beyond = Some((count, since));
                if count >= failures && now.saturating_duration_since(since.instant) >= self.hold {
                    // For those who have not been told of its end, the alert before goes on.
                    let (since, told) = owed.map_or((since, false), |owed| (owed.since, true));
                    self.phase = Phase::Fires(Fires {
                        since,
                        at: wall,
                        value_at: value,
                        value,
                        good: 0,
                        unknown: 0,
                        known: now,
                        told,
                        withheld: false,
                    });
                }
                false
            }
            Phase::Quiet { beyond, .. } => {
                *beyond = None;
                false
            }
            Phase::Fires(fires) => {
                (fires.value, fires.unknown, fires.known) = (value, 0, now);
                fires.good = if stand == Stand::Good { fires.good.saturating_add(1) } else { 0 };
                if fires.good < failures {
                    return false;
                }
                self.end(here, None)
            }
        }
    }

    /// Takes in that there is no value. True if an alert ended that was to be told and was not.
    pub(super) fn miss(&mut self, now: Instant, wall: f64, unknown_max: u32) -> bool {
        match &mut self.phase {
            Phase::Quiet { beyond, .. } => {
                *beyond = None;
                false
            }
            Phase::Fires(fires) => {
                fires.unknown = fires.unknown.saturating_add(1);
                if fires.unknown < unknown_max {
                    return false;
                }
                let silent = now.saturating_duration_since(fires.known);
                self.end(Since { instant: now, wall }, Some(silent))
            }
        }
    }

    /// It does not fire any more. True if it was to be told to and was not.
    fn end(&mut self, at: Since, silent: Option<Duration>) -> bool {
        let Phase::Fires(fires) = &self.phase else { return false };
        let lost = fires.withheld && !fires.told;
        let owed = fires.told.then_some(Ended { since: fires.since, at, value: fires.value, silent });
        self.phase = Phase::Quiet { beyond: None, owed };
        lost
    }

    /// A message was due, and could not be.
    pub(super) const fn withhold(&mut self) {
        if let Phase::Fires(fires) = &mut self.phase {
            fires.withheld = true;
        }
    }

    /// Takes the news, to be sent.
    pub(super) fn tell(&mut self, now: Instant) -> Option<Notice> {
        match &mut self.phase {
            Phase::Fires(fires) if !fires.told => {
                fires.told = true;
                self.told_last = Some(now);
                let (value, since, at) = (fires.value_at, fires.since, fires.at);
                Some(self.notice(Event::Fired, value, since, at, text::fired(self.figure, value, &self.limit)))
            }
            Phase::Fires(_) => None,
            Phase::Quiet { owed, .. } => {
                let Ended { since, at, value, silent } = owed.take()?;
                let after = at.instant.saturating_duration_since(since.instant);
                let text = match silent {
                    Some(silent) => text::lost(self.figure, value, silent),
                    None => text::recovered(self.figure, value, after),
                };
                Some(self.notice(Event::Recovered, value, since, at.wall, text))
            }
        }
    }

    /// The notice of another rule tells that this one fires.
    pub(super) const fn told_by_another(&mut self, now: Instant) {
        if let Phase::Fires(fires @ Fires { told: false, .. }) = &mut self.phase {
            fires.told = true;
            self.told_last = Some(now);
        }
    }

    /// As it is shown while it fires.
    pub(super) fn shown(&self) -> Option<Firing> {
        let Phase::Fires(fires) = &self.phase else { return None };
        Some(Firing {
            rule: self.name.clone(),
            severity: self.severity,
            figure: self.figure,
            since: fires.since.wall,
            value: fires.value,
            threshold: self.limit.value,
            text: text::fired(self.figure, fires.value_at, &self.limit),
            told: fires.told,
        })
    }

    fn notice(&self, event: Event, value: f64, since: Since, at: f64, text: String) -> Notice {
        Notice {
            event,
            rule: self.name.clone(),
            severity: self.severity,
            figure: self.figure,
            value,
            threshold: self.limit.value,
            since: since.wall,
            at,
            text,
            still: None,
            suppressed: 0,
        }
    }
}
