// Brings the parts together: what the feed says goes to the figures, the charts and the tables.

import { Charts } from './charts.js';
import { Feed, token } from './feed.js';
import { clock, format } from './format.js';
import { errorRate, History, hitRate, perSecond } from './history.js';
import { at, mark, Rows, show, write } from './table.js';
import { isWatched, verdict } from './verdict.js';

const { body } = document;
const byId = (id) => document.getElementById(id);

// Before any row exists: these are the single figures, and the rows fill their own.
const figures = [...document.querySelectorAll('[data-figure]')].map((element) => ({ element, path: element.dataset.figure }));
const parts = [...document.querySelectorAll('[data-part]')].map((element) => ({ element, path: element.dataset.part }));

const bars = [...document.querySelectorAll('[data-share]')];

// Of each list: its rows, and what in the state they show.
const lists = [
  [new Rows('routes', (row) => row.route, (row) => ({ route: row.route })), (state) => state.routes],
  [new Rows('endpoints', (row) => row.endpoint, (row) => ({ endpoint: row.endpoint })), (state) => state.origin.endpoints],
  [new Rows('origins', (row) => row.origin, (row) => ({ origin: row.origin })), (state) => state.origin.origins],
  [new Rows('hot', (row) => row.url, (row) => ({ key: row.url })), (state) => state.hot],
  [new Rows('purges', JSON.stringify, (row) => ({ purge: row.kind })), (state) => state.purges],
  [
    new Rows('checks', (row) => `${row.way} ${row.name} ${row.url}`, (row) => ({ check: row.name, way: row.way })),
    (state) => state.monitor?.checks ?? [],
  ],
  [
    new Rows('firing', (row) => row.rule, (row) => ({ alert: row.rule, severity: row.severity, told: row.told ?? true })),
    (state) => criticalFirst(state.alerts?.firing ?? []),
  ],
  [
    new Rows('recent', JSON.stringify, (row) => ({ alertEvent: row.event, rule: row.rule })),
    (state) => state.alerts?.recent ?? [],
  ],
  [new Rows('reasons', (row) => row.reason, () => ({})), () => judged.reasons.map((reason) => ({ reason }))],
];

const history = new History();
const charts = new Charts();
let hello = {};
let judged = null;
let range = 600;
let heardAt = 0;
let lost = { why: '', retryAt: 0 };

const feed = new Feed({
  event(name, document) {
    if (name === 'hello') {
      hello = document;
    } else if (name === 'history') {
      history.load(document, hello.keep ?? 86_400);
      charts.draw(history, range, true);
    } else if (name === 'now') {
      heardAt = Date.now();
      now(history.add(document.sample), document.state);
      enter('live');
    }
  },
  lost(why, retryAt) {
    lost = { why, retryAt };
    enter('disconnected');
  },
  refused(status, text) {
    refuse(status, text);
    enter('forbidden');
  },
});

function now(row, state) {
  const rate = {
    requests: perSecond(row, 'requests'), hit_rate: hitRate(row), error_rate: errorRate(row),
    p50: row.p50, p95: row.p95, p99: row.p99, cpu: row.cpu,
  };
  judged = verdict(state);
  const all = { ...state, rate, hello, overall: judged.value };
  for (const { element, path } of figures) if (path !== 'overall') show(element, at(all, path));
  for (const { element, path } of parts) setPart(element, at(state, path));
  for (const [rows, of] of lists) rows.update(of(state));
  for (const bar of bars) share(bar, state);
  byId('empty').hidden = state.totals.calls > 0;
  mark(body, 'telemetry', String(isWatched(state)));
  mark(body, 'at', String(state.at));
  charts.draw(history, range, false);
}

function criticalFirst(alerts) {
  const weight = (alert) => (alert.severity === 'critical' ? 0 : 1);
  return [...alerts].sort((a, b) => weight(a) - weight(b));
}

function setPart(element, part) {
  const isMissing = part === null || part === undefined || (Array.isArray(part) && part.length === 0);
  if (element.hidden !== isMissing) element.hidden = isMissing;
  const instead = byId(element.dataset.instead);
  if (instead.hidden === isMissing) instead.hidden = !isMissing;
}

// The bar beside "12 of 34": of what, and how much.
function share(bar, state) {
  const [part, whole] = bar.dataset.share.split(' ').map((path) => at(state, path) ?? 0);
  const width = `${whole > 0 ? Math.min(100, (100 * part) / whole).toFixed(1) : 0}%`;
  if (bar.firstElementChild.style.width !== width) bar.firstElementChild.style.width = width;
}

function enter(state) {
  const before = body.dataset.state;
  mark(body, 'state', state);
  showVerdict();
  showLost();
  if (state === before) return;
  byId('door').hidden = state !== 'forbidden';
  byId('figures').hidden = state === 'forbidden';
  byId('loading').hidden = state !== 'loading';
  byId('forget').hidden = token.get() === null;
  if (state === 'forbidden' && !byId('token-form').hidden) byId('token').focus();
  if (before === 'forbidden' && state === 'live') byId('figures').focus();
}

// An old "Ready" in green would be a claim that nobody can make: without the feed it loses its colour and says so.
function showVerdict() {
  const isLive = body.dataset.state === 'live';
  const word = judged?.word ?? 'Unknown';
  const overall = byId('overall');
  overall.dataset.value = judged?.value ?? '';
  write(overall, isLive || !judged ? word : `Last known: ${word.toLowerCase()}`);
  mark(byId('verdict'), 'tone', isLive && judged ? judged.tone : '');
  const state = { live: judged?.title ?? word, loading: 'Loading', forbidden: 'Not allowed' }[body.dataset.state] ?? 'Feed lost';
  const title = `${state} · ${hello.node ?? 'performance'}`;
  if (document.title !== title) document.title = title;
}

function showLost() {
  const isLost = body.dataset.state === 'disconnected';
  byId('lost').hidden = !isLost;
  if (!isLost) return;
  write(byId('lost-why'), lost.why);
  const age = format('seconds', Math.round((Date.now() - heardAt) / 1000));
  const old = `The figures are ${age} old, of ${clock(heardAt / 1000)}.`;
  write(byId('lost-age'), heardAt > 0 ? old : 'There are no figures yet.');
  const wait = Math.ceil((lost.retryAt - Date.now()) / 1000);
  write(byId('lost-next'), wait > 0 ? `Next try in ${format('seconds', wait)}.` : 'Trying …');
}

function refuse(status, text) {
  const wasTried = token.get() !== null;
  const wantsToken = status === 401;
  byId('token-form').hidden = !wantsToken;
  byId('refused').hidden = wantsToken;
  if (wantsToken) {
    // A token that was refused is of no use; kept, it would be sent again with each load.
    token.forget();
    write(byId('token-error'), wasTried ? 'That token was not accepted.' : '');
    byId('token').toggleAttribute('aria-invalid', wasTried);
  } else {
    write(byId('refused-text'), text || 'The server gives no reason.');
  }
}

byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const given = byId('token').value.trim();
  if (!/^[\x21-\x7e]+$/.test(given)) {
    write(byId('token-error'), 'A token has letters, digits and signs of ASCII, without spaces.');
    return;
  }
  token.set(given);
  byId('token').value = '';
  feed.now();
});

byId('forget').addEventListener('click', () => {
  token.forget();
  feed.now();
});

for (const button of document.querySelectorAll('.reconnect')) {
  button.addEventListener('click', () => {
    lost.retryAt = 0;
    feed.now();
    showLost();
  });
}

const ranges = [...document.querySelectorAll('button[data-range]')];
for (const button of ranges) {
  button.addEventListener('click', () => {
    range = Number(button.dataset.range);
    for (const other of ranges) other.setAttribute('aria-pressed', String(other === button));
    charts.draw(history, range, true);
  });
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  charts.draw(history, range, true);
  if (body.dataset.state === 'disconnected') feed.now();
});

setInterval(showLost, 1000);
feed.now();
