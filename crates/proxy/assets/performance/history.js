// What happened so far: the last ten minutes by the second, the day in coarse steps. Neither grows without end.

const FINE_SECONDS = 600;

const COUNTS = [
  'requests', 'hit', 'stale', 'coalesced', 'miss', 'bypass', 'error', 'memory', 'redis', 'disk',
  'bytes', 'saved_calls', 'saved_seconds', 'fills', 'database_waits',
];
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
    this.#fine = history.fine.rows.map((row) => this.#named(row));
    this.#coarse = history.coarse.rows.map((row) => this.#named(row));
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

function drop(rows, before, most) {
  let gone = Math.max(0, rows.length - most);
  while (gone < rows.length && rows[gone].at < before) gone += 1;
  if (gone > 0) rows.splice(0, gone);
}

// Counts add up; of gauges the newest counts. Percentiles cannot be joined exactly without the histograms: weighted
// by requests they come near, and the server's own coarse rows replace them at the next connection.
function joined(a, b) {
  const row = { ...b, seconds: a.seconds + b.seconds };
  for (const name of COUNTS) row[name] = a[name] + b[name];
  for (const name of PERCENTILES) row[name] = mean(a[name], a.requests, b[name], b.requests);
  row.cpu = mean(a.cpu, a.seconds, b.cpu, b.seconds);
  return row;
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
