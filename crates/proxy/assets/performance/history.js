// What happened so far: the last ten minutes by the second, the day in coarse steps. Neither grows without end.

const FINE_SECONDS = 600;

const COUNTS = [
  'requests', 'hit', 'stale', 'coalesced', 'miss', 'bypass', 'error', 'memory', 'redis', 'disk',
  'bytes', 'saved_calls', 'saved_seconds', 'fills', 'database_waits', 'origin_calls',
];
// Of one moment. The memory of the process is one too, but moves slowly: its newest value says more than its most.
const GAUGES = ['database_connections', 'database_in_use', 'waiting', 'connections', 'in_flight'];
const PERCENTILES = ['p50', 'p95', 'p99'];

export class History {
  #columns = [];
  #fine = [];
  #coarse = [];
  #fineStep = 1;
  #coarseStep = 30;
  #keep = 86_400;
  // The coarse step that is not over yet.
  #open = null;

  /** Takes over what the server remembers, in place of all that was known. */
  load(history, keep) {
    this.#columns = history.columns;
    this.#keep = keep;
    this.#fineStep = history.fine.step;
    this.#coarseStep = history.coarse.step;
    const fine = history.fine.rows.map((row) => this.#named(row));
    const coarse = history.coarse.rows.map((row) => this.#named(row));
    // As they came, the last is of now, whatever the clock said before it was set back.
    const now = (fine.at(-1) ?? coarse.at(-1))?.at ?? 0;
    this.#fine = inOrder(fine, now);
    this.#coarse = inOrder(coarse, now);
    this.#open = null;
    const since = this.#coarse.at(-1)?.at ?? -Infinity;
    for (const row of this.#fine) if (row.at > since) this.#fold(row);
    this.#forget();
  }

  /** Adds the step that has just ended and gives it with names. */
  add(values) {
    const row = this.#named(values);
    // The clock may have been set back; a chart's time only goes forward.
    while (this.#fine.length > 0 && this.#fine.at(-1).at >= row.at) this.#fine.pop();
    while (this.#coarse.length > 0 && this.#coarse.at(-1).at >= row.at) this.#coarse.pop();
    this.#fine.push(row);
    this.#fold(row);
    this.#forget();
    return row;
  }

  /** The newest step, if there is one. */
  get latest() {
    return this.#fine.at(-1) ?? this.#coarse.at(-1);
  }

  /** The steps of the last `seconds`, oldest first, and how long each should be. */
  last(seconds) {
    const from = (this.latest?.at ?? 0) - seconds;
    if (seconds <= FINE_SECONDS) return { step: this.#fineStep, rows: this.#fine.filter((row) => row.at >= from) };
    const rows = this.#coarse.filter((row) => row.at >= from);
    if (this.#open) rows.push(this.#open);
    return { step: this.#coarseStep, rows };
  }

  #named(values) {
    const row = {};
    this.#columns.forEach((name, index) => {
      row[name] = values[index] ?? null;
    });
    return row;
  }

  #fold(row) {
    // What was before a halt does not belong to the step after it.
    if (this.#open && row.at - row.seconds - this.#open.at > this.#coarseStep) {
      this.#coarse.push(this.#open);
      this.#open = null;
    }
    this.#open = this.#open && row.at > this.#open.at ? joined(this.#open, row) : { ...row };
    if (this.#open.seconds >= this.#coarseStep - 0.5) {
      this.#coarse.push(this.#open);
      this.#open = null;
    }
  }

  #forget() {
    const now = this.latest?.at ?? 0;
    drop(this.#fine, now - FINE_SECONDS, (2 * FINE_SECONDS) / this.#fineStep);
    drop(this.#coarse, now - this.#keep, (2 * this.#keep) / this.#coarseStep);
  }
}

// A chart's time only goes forward. Of two rows of one moment the later told counts; what claims to be of later than
// `now` is of a clock that was wrong.
function inOrder(rows, now) {
  const byTime = new Map();
  for (const row of rows) if (row.at !== null && row.at <= now) byTime.set(row.at, row);
  return [...byTime.values()].sort((a, b) => a.at - b.at);
}

function drop(rows, before, most) {
  let gone = Math.max(0, rows.length - most);
  while (gone < rows.length && rows[gone].at < before) gone += 1;
  if (gone > 0) rows.splice(0, gone);
}

// Counts add up; of gauges the most counts, as in the server's coarse rows: what was full for a second shows in a whole day. Percentiles cannot be joined exactly without the histograms: weighted
// by requests they come near, and the server's own coarse rows replace them at the next connection.
function joined(a, b) {
  const row = { ...b, seconds: a.seconds + b.seconds };
  for (const name of COUNTS) row[name] = a[name] + b[name];
  for (const name of PERCENTILES) row[name] = mean(a[name], a.requests, b[name], b.requests);
  for (const name of GAUGES) row[name] = most(a[name] ?? null, b[name] ?? null);
  row.cpu = mean(a.cpu, a.seconds, b.cpu, b.seconds);
  return row;
}

// The most of those that are known.
function most(a, b) {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}

function mean(a, weightOfA, b, weightOfB) {
  if (a === null) return b;
  if (b === null || weightOfA + weightOfB === 0) return a;
  return (a * weightOfA + b * weightOfB) / (weightOfA + weightOfB);
}

/** Of the answers that could come from a store, how many did; null where there were none. */
export function hitRate(row) {
  const all = row.hit + row.stale + row.coalesced + row.miss;
  return all > 0 ? (row.hit + row.stale) / all : null;
}

export function errorRate(row) {
  return row.requests > 0 ? row.error / row.requests : null;
}

export function perSecond(row, name) {
  return row.seconds > 0 && row[name] !== null ? row[name] / row.seconds : null;
}
