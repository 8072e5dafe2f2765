//! From figures to notices.
//!
//! Two things are kept apart: whether a rule fires, and what those who read messages believe. Each evaluation brings the first up to date
//! from the figures, then sends what it takes to bring the second in line, as far as cooldown, bound and severities let it. So whatever was
//! held back is told later if it still holds, a rule is never told to have fired twice without having recovered, and a recovery cannot be
//! lost.

mod room;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::VecDeque;

use tokio::time::Instant;

use self::{room::Room, watch::Watch};
use crate::{AlertConfig, Event, Figures, Firing, Notice, Severity, text};

/// Evaluations in a row without a figure after which its alert ends: 5 min at the default of 20 s each. Longer than a pause in traffic, and
/// short enough that nobody is called for what no reading has borne out since.
const UNKNOWN_MAX: u32 = 15;
/// Notices kept to be shown.
const RECENT_MAX: usize = 50;

/// The state of every rule. It reads no clock and sends nothing.
#[derive(Debug)]
pub struct Engine {
    watches: Vec<Watch>,
    failures: u32,
    requests_min: u64,
    room: Room,
    recent: VecDeque<Notice>,
    /// Of these no notice has told yet.
    untold: u64,
    suppressed: u64,
}

/// What is told next of a rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    // In the order in which they take the room there is: what must be acted on goes first.
    Critical,
    Recovery,
    Warning,
}

impl Engine {
    /// With the rules of `config`, all of them quiet; with none where alerts are not enabled.
    #[must_use]
    pub fn new(config: &AlertConfig) -> Self {
        let rules = config.rules.iter().filter(|_| config.enabled);
        Self {
            watches: rules.map(|rule| Watch::new(rule, config.cooldown)).collect(),
            failures: config.failures,
            requests_min: config.requests_min,
            room: Room::new(config.per_hour_max),
            recent: VecDeque::new(),
            untold: 0,
            suppressed: 0,
        }
    }

    /// Takes in one reading of the figures, made at `now`, which is `wall` seconds since the Unix epoch, and gives what is to be sent.
    ///
    /// A figure that is not known breaks the row of evaluations past a threshold: a row needs known readings one after the other. It does
    /// not count against an end that is under way, and after 15 evaluations in a row without it an alert ends of itself: the notice of
    /// recovery says that there was nothing to go by, and what was known last.
    pub fn evaluate(&mut self, now: Instant, wall: f64, figures: &Figures) -> Vec<Notice> {
        for watch in &mut self.watches {
            let lost = match figures.over(watch.figure, self.requests_min) {
                Some(value) => watch.learn(value, now, wall, self.failures),
                None => watch.miss(now, wall, UNKNOWN_MAX),
            };
            self.untold += u64::from(lost);
            self.suppressed += u64::from(lost);
        }
        let mut due: Vec<_> = (0..self.watches.len()).filter_map(|at| self.due(at).map(|due| (due, at))).collect();
        due.sort_unstable();
        let mut notices = Vec::new();
        for (_, at) in due {
            // A recovery told before it may have told this one too.
            let Some(due) = self.due(at) else { continue };
            let cools = due != Due::Recovery && self.watches[at].cools(now);
            if cools || !self.room.take(now) {
                self.watches[at].withhold();
                continue;
            }
            let Some(mut notice) = self.watches[at].tell(now) else { continue };
            if notice.event == Event::Recovered {
                self.add_still(at, now, &mut notice);
            }
            notice.suppressed = std::mem::take(&mut self.untold);
            self.recent.push_front(notice.clone());
            self.recent.truncate(RECENT_MAX);
            notices.push(notice);
        }
        notices
    }

    /// The rules that fire, the critical ones first.
    #[must_use]
    pub fn firing(&self) -> Vec<Firing> {
        let mut firing: Vec<_> = self.watches.iter().filter_map(Watch::shown).collect();
        firing.sort_by_key(|firing| std::cmp::Reverse(firing.severity));
        firing
    }

    /// The last 50 notices, the newest first.
    pub fn recent(&self) -> impl ExactSizeIterator<Item = &Notice> {
        self.recent.iter()
    }

    /// Alerts so far that were over before they could be told, for the cooldown or the bound on messages an hour.
    #[must_use]
    pub const fn suppressed(&self) -> u64 {
        self.suppressed
    }

    fn due(&self, at: usize) -> Option<Due> {
        let watch = &self.watches[at];
        let due = match (watch.news()?, watch.severity) {
            (Event::Recovered, _) => Due::Recovery,
            (Event::Fired, Severity::Critical) => Due::Critical,
            (Event::Fired, Severity::Warning) => Due::Warning,
        };
        (!self.is_outdone(at)).then_some(due)
    }

    /// Whether it is a warning, and a critical rule fires for the same figure: who was told of that needs no word of this.
    fn is_outdone(&self, at: usize) -> bool {
        let watch = &self.watches[at];
        watch.severity == Severity::Warning
            && self
                .watches
                .iter()
                .any(|other| other.severity == Severity::Critical && other.fires() && other.is_akin(watch))
    }

    /// Adds to the recovery of a critical rule that the figure is still bad enough for a warning, if it is: one message, not two.
    fn add_still(&mut self, at: usize, now: Instant, notice: &mut Notice) {
        if notice.severity != Severity::Critical {
            return;
        }
        let holds = |warning: &usize| {
            let watch = &self.watches[*warning];
            watch.severity == Severity::Warning && watch.fires() && watch.is_akin(&self.watches[at])
        };
        let Some(warning) = (0..self.watches.len()).find(|warning| holds(warning) && !self.is_outdone(*warning)) else {
            return;
        };
        let watch = &mut self.watches[warning];
        watch.told_by_another(now);
        notice.text.push_str(&format!(", {} (warning)", text::still(watch.figure, &watch.limit)));
        notice.still = Some(watch.name.clone());
    }
}
