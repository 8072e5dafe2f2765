//! Clients: each asks, judges the answer, thinks, and asks again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    judge::{self, Shown, Wrong},
    ledger::{Broken, Ledger, Span},
    wire::{Door, Fail, Got, Question, Wire},
    world::{NODES, Who, World},
};
use crate::coherence::Dice;

const OK: &[StatusCode] = &[StatusCode::OK];
const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];
const TERMS: [&str; 8] = ["soak", "last", "harbour", "night", "river", "the", "house", "light"];
const FIXED: [&str; 7] = [
    "/api/stats",
    "/api/config",
    "/api/categories",
    "/api/search/facets",
    "/api/content/about",
    "/api/content/team",
    "/api/search/autocomplete?q=so",
];

/// One who asks.
pub(super) struct Client {
    pub(super) world: Arc<World>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) dice: Dice,
    pub(super) wire: Wire,
    /// The node that is asked first.
    pub(super) home: usize,
    /// A detail that was seen: what was shown under which name.
    seen: Option<(i64, String, Vec<Shown>)>,
}

/// The ways in, in turn: in the clear and by TLS, HTTP/1.1 and HTTP/2.
pub(super) fn door(world: &World, nth: usize) -> Door {
    let tls = nth % 2 == 1;
    let http2 = nth / 2 % 2 == 1;
    let alpn: &[&[u8]] = if http2 { BOTH } else { &BOTH[1..] };
    Door { tls: tls.then(|| world.authority.connector(alpn)), http2, slow: false }
}

/// Starts `count` clients, which think for about `think` between two questions.
pub(super) fn start(
    world: &Arc<World>,
    ledger: &Arc<Ledger>,
    count: usize,
    think: Duration,
) -> Vec<AbortOnDropHandle<()>> {
    let client = |nth: usize| {
        let mut client = Client::new(world, ledger, nth, door(world, nth));
        tokio::spawn(async move {
            loop {
                sleep(think.mul_f64(0.5 + client.dice.below(1_000) as f64 / 1_000.0)).await;
                client.once().await;
            }
        })
    };
    (0..count).map(client).map(AbortOnDropHandle::new).collect()
}

impl Client {
    pub(super) fn new(world: &Arc<World>, ledger: &Arc<Ledger>, nth: usize, door: Door) -> Self {
        Self {
            world: Arc::clone(world),
            ledger: Arc::clone(ledger),
            dice: Dice::new(nth as u64 + 1),
            wire: Wire::new(door),
            home: nth / 4 % NODES,
            seen: None,
        }
    }

    /// Asks as behind a balancer: another node where one takes no connections, and once more what may be asked again.
    pub(super) async fn ask(&mut self, question: &Question) -> Option<(Got, Span)> {
        let began = Instant::now();
        let may_repeat = question.method == Method::GET;
        let mut unanswered = 0;
        loop {
            let sent = match self.connect(unanswered, began).await {
                true => self.wire.head(question).await,
                false => return None,
            };
            let failed = match sent {
                Ok(head) => match self.wire.whole(head).await {
                    Ok(got) => {
                        let span = Span { began, ended: Instant::now() };
                        self.ledger.status(got.status.as_u16(), &got.said);
                        return Some((got, span));
                    }
                    Err(failed) => failed,
                },
                Err(failed) => failed,
            };
            self.wire.close();
            let what = format!("{} {}: {failed}", question.method, question.target);
            if !matches!(failed, Fail::Unanswered(_)) {
                let promise = if matches!(failed, Fail::Cut(_)) { "no answer is cut" } else { "every answer comes" };
                self.ledger.breaks(promise, what);
                return None;
            }
            let span = Span { began, ended: Instant::now() };
            if !self.ledger.was(Broken::Rolling, span) {
                self.ledger.breaks("no connection is closed on a question, but in a restart", what);
                return None;
            }
            unanswered += 1;
            match (may_repeat, unanswered) {
                (false, _) => {
                    self.ledger.happened("writes without an answer, in a restart");
                    return None;
                }
                (true, 1) => self.ledger.happened("asked again, in a restart"),
                (true, _) => {
                    self.ledger.breaks("what is asked again is answered", what);
                    return None;
                }
            }
        }
    }

    /// Sees to a connection; whether there is one.
    pub(super) async fn connect(&mut self, skip: usize, began: Instant) -> bool {
        if self.wire.is_open().await {
            return true;
        }
        let mut last = None;
        for nth in 0..NODES {
            let node = (self.home + skip + nth) % NODES;
            match self.wire.open(self.world.nodes[node].place(self.wire.is_tls())).await {
                Ok(()) => return true,
                Err(failed) => {
                    let span = Span { began, ended: Instant::now() };
                    if self.ledger.was(Broken::Rolling, span) {
                        self.ledger.happened("connections refused, in a restart");
                    } else {
                        self.ledger.breaks("every node takes connections, but in a restart", failed.to_string());
                    }
                    last = Some(failed);
                }
            }
        }
        self.ledger.breaks("some node takes connections", last.map_or_else(String::new, |failed| failed.to_string()));
        false
    }

    /// Holds an answer against what may be.
    pub(super) fn hold(
        &self,
        question: &Question,
        (got, span): &(Got, Span),
        expected: &[StatusCode],
        check: impl FnOnce(&Bytes) -> Result<(), Wrong>,
    ) {
        let database_down = self.ledger.was(Broken::Postgres, *span);
        let status = judge::status(got.status, expected, database_down, got.headers.contains_key("retry-after"));
        let whole = status.and_then(|()| if got.status == StatusCode::OK { check(&got.body) } else { Ok(()) });
        if let Err(wrong) = whole {
            let what = format!("{} {}: {wrong}", question.method, question.target);
            self.ledger.breaks(wrong.promise(), what);
        }
    }

    async fn once(&mut self) {
        match self.dice.below(100) {
            0..22 => self.list().await,
            22..30 => self.search().await,
            30..36 => self.fixed().await,
            36..39 => self.unknown().await,
            39..41 => self.creator().await,
            41..47 => self.view().await,
            47..59 => {
                let who = [Who::Creator, Who::Production, Who::Viewer][self.dice.below(3)];
                let (id, _) = self.written();
                self.detail("details, signed in", id, who).await;
            }
            59..69 => self.again().await,
            69..74 => {
                let id = self.world.others[self.dice.below(self.world.others.len())];
                self.detail("details of what nobody writes", id, Who::Nobody).await;
            }
            _ => {
                let (id, _) = self.written();
                self.detail("details", id, Who::Nobody).await;
            }
        }
    }

    fn written(&mut self) -> (i64, Who) {
        let count = self.world.written.len();
        // Some are asked for much more often than others.
        self.world.written[self.dice.below(count).min(self.dice.below(count))]
    }

    /// Reads a detail; every pitch in it must be as new as what was acknowledged.
    pub(super) async fn detail(&mut self, kind: &'static str, id: i64, who: Who) {
        self.ledger.asked(kind);
        let question = Question { token: who.token(), ..Question::get(format!("/api/pitches/{id}")) };
        let Some(answer) = self.ask(&question).await else { return };
        let mut seen = None;
        self.hold(&question, &answer, OK, |body| {
            let shown = judge::detail(body, id, who)?;
            self.ledger.judge(&shown, shown.len(), &answer.0.said, answer.1)?;
            seen = Some(shown);
            Ok(())
        });
        let etag = answer.0.headers.get("etag").and_then(|etag| etag.to_str().ok());
        if let (Some(shown), Some(etag), Who::Nobody) = (seen, etag, who) {
            self.seen = Some((id, etag.to_owned(), shown));
        }
    }

    /// Asks whether what was seen is still so.
    async fn again(&mut self) {
        let Some((id, etag, shown)) = self.seen.clone() else { return };
        self.ledger.asked("details, if changed");
        let question = Question { if_none_match: Some(etag), ..Question::get(format!("/api/pitches/{id}")) };
        let Some(answer) = self.ask(&question).await else { return };
        let judge = |shown: &[Shown]| self.ledger.judge(shown, shown.len(), &answer.0.said, answer.1);
        self.hold(&question, &answer, &[StatusCode::OK, StatusCode::NOT_MODIFIED], |body| {
            judge(&judge::detail(body, id, Who::Nobody)?)
        });
        if answer.0.status == StatusCode::NOT_MODIFIED
            && let Err(wrong) = judge(&shown)
        {
            self.ledger.breaks(wrong.promise(), format!("304 for {}: {wrong}", question.target));
        }
    }

    /// First pages must be as new as what was acknowledged, the others may lag.
    async fn list(&mut self) {
        self.ledger.asked("lists");
        let (target, strictly) = match self.dice.below(9) {
            0 => ("/api/pitches/trending?limit=4", true),
            1 => ("/api/pitches/trending?limit=20", true),
            2 => ("/api/pitches/new?limit=4", true),
            3 => ("/api/pitches/featured?limit=4", true),
            4 => ("/api/pitches/browse?sort=views&limit=24", true),
            5 => ("/api/pitches/browse?sort=date&limit=24&offset=24", false),
            6 => ("/api/pitches/browse?tab=popular&limit=100", false),
            7 => ("/api/pitches/browse?genre=drama&limit=24", true),
            _ => ("/api/pitches/public?limit=20", true),
        };
        self.pitches(target.to_owned(), strictly).await;
    }

    async fn search(&mut self) {
        self.ledger.asked("searches");
        let term = TERMS[self.dice.below(TERMS.len())];
        let target = match self.dice.below(8) {
            // Never asked before, nor again.
            0 => format!("/api/pitches/search?q={term}%20{}&limit=20", self.dice.below(1 << 30)),
            nth => format!("/api/pitches/search?q={term}&limit=20&page={nth}"),
        };
        self.pitches(target, false).await;
    }

    async fn pitches(&mut self, target: String, strictly: bool) {
        let question = Question::get(target);
        let Some(answer) = self.ask(&question).await else { return };
        self.hold(&question, &answer, OK, |body| self.list_is_right(body, strictly, &answer));
    }

    pub(super) fn list_is_right(&self, body: &[u8], strictly: bool, (got, span): &(Got, Span)) -> Result<(), Wrong> {
        let shown = judge::list(body)?;
        self.ledger.judge(&shown, if strictly { shown.len() } else { 0 }, &got.said, *span)
    }

    async fn fixed(&mut self) {
        self.ledger.asked("counts and contents");
        let question = Question::get(FIXED[self.dice.below(FIXED.len())]);
        let Some(answer) = self.ask(&question).await else { return };
        self.hold(&question, &answer, OK, |body| judge::any(body).map(drop));
    }

    async fn unknown(&mut self) {
        self.ledger.asked("details of nothing");
        let question = Question::get(format!("/api/pitches/{}", 1_000_000 + self.dice.below(500)));
        let Some(answer) = self.ask(&question).await else { return };
        self.hold(&question, &answer, &[StatusCode::NOT_FOUND], |_| Ok(()));
    }

    async fn creator(&mut self) {
        self.ledger.asked("creators");
        let id = 1 + i64::try_from(self.dice.below(2)).unwrap_or(0);
        let question = Question::get(format!("/api/creators/{id}"));
        let Some(answer) = self.ask(&question).await else { return };
        self.hold(&question, &answer, OK, |body| judge::creator(body, id));
    }

    async fn view(&mut self) {
        self.ledger.asked("views");
        let (id, _) = self.written();
        let json = format!(r#"{{"pitch_id":{id},"session_id":"soak-{}"}}"#, self.dice.below(1 << 30));
        let question = Question { method: Method::POST, json: Some(json), ..Question::get("/api/views") };
        let Some(answer) = self.ask(&question).await else { return };
        let expected = [StatusCode::OK, StatusCode::CREATED, StatusCode::NO_CONTENT];
        self.hold(&question, &answer, &expected, |_| Ok(()));
    }
}
