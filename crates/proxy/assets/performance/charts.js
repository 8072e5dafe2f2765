// The charts: what each shows, how it is drawn, and the same in words.

import { axisText, clock, format, shortClock } from './format.js';
import { errorRate, hitRate, perSecond } from './history.js';
import { show, write } from './table.js';

// A classic script, loaded before this module, that leaves one global behind.
const { uPlot } = globalThis;

const served = (row) => row.memory + row.redis + row.disk;
// The bytes of one answer may come from several tiers: the tiers share the hit rate by what each served.
const tierShare = (...names) => (row) => {
  const rate = hitRate(row);
  if (rate === null || served(row) === 0) return rate;
  return (rate * names.reduce((sum, name) => sum + row[name], 0)) / served(row);
};

// A series may be `shown` in the legend as another value than the `drawn` one: stacked areas are drawn as sums.
const CHARTS = {
  requests: { as: 'rate', floor: 1, series: [
    { name: 'requests', label: 'answered', colour: '--series-1', area: true, drawn: (row) => perSecond(row, 'requests') },
    { name: 'origin_calls', label: 'calls of the origin', colour: '--series-3', drawn: (row) => perSecond(row, 'origin_calls') },
  ] },
  tiers: { as: 'percent', ceiling: 1, series: [
    { name: 'disk', label: 'disk', colour: '--tier-3', stacked: true, drawn: hitRate, shown: tierShare('disk') },
    { name: 'redis', label: 'Redis', colour: '--tier-2', stacked: true, drawn: tierShare('memory', 'redis'), shown: tierShare('redis') },
    { name: 'memory', label: 'memory', colour: '--tier-1', stacked: true, drawn: tierShare('memory') },
    { name: 'hit_rate', label: 'in all', colour: '--text', drawn: hitRate },
  ] },
  latency: { as: 'millis', logarithmic: true, series: [
    { name: 'p99', label: 'p99', colour: '--series-3', drawn: (row) => row.p99 },
    { name: 'p95', label: 'p95', colour: '--series-1', drawn: (row) => row.p95 },
    { name: 'p50', label: 'p50', colour: '--series-2', drawn: (row) => row.p50 },
  ] },
  errors: { as: 'percent', floor: 0.01, series: [
    { name: 'error_rate', label: 'of all requests', colour: '--bad', area: true, drawn: errorRate },
  ] },
  database: { as: 'rate', floor: 4, series: [
    { name: 'connections', label: 'open', colour: '--series-2', drawn: (row) => row.database_connections },
    { name: 'in_use', label: 'at work', colour: '--series-1', area: true, drawn: (row) => row.database_in_use },
    { name: 'waiting', label: 'requests waiting', colour: '--warning', drawn: (row) => row.waiting },
    { name: 'waits', label: 'waits/s', colour: '--series-3', drawn: (row) => perSecond(row, 'database_waits') },
  ] },
  saved: { as: 'worked', floor: 0.1, series: [
    { name: 'saved', label: 'each second', colour: '--series-1', area: true, drawn: (row) => perSecond(row, 'saved_seconds') },
  ] },
  cpu: { as: 'percent', floor: 0.1, series: [
    { name: 'cpu', label: 'of one core', colour: '--series-1', area: true, drawn: (row) => row.cpu },
  ] },
  resident: { as: 'bytes', floor: 1 << 20, series: [
    { name: 'resident', label: 'resident', colour: '--series-1', area: true, drawn: (row) => row.resident },
  ] },
  clients: { as: 'rate', floor: 4, series: [
    { name: 'connections', label: 'connections', colour: '--series-1', area: true, drawn: (row) => row.connections },
  ] },
};

const POWERS = Array.from({ length: 10 }, (_, index) => 10 ** (index - 2));
const BINARY = Array.from({ length: 34 }, (_, index) => 2 ** (index + 10));
const HEIGHT = 148;
const WORDS_EVERY_SECONDS = 10;
// Who holds a key down hears where it ends, not each step on the way.
const ANNOUNCED_AFTER_MS = 400;

let colours = {};

// The style sheet alone knows the colours; a canvas needs them resolved.
function readColours() {
  const probe = document.body.appendChild(document.createElement('i'));
  const names = new Set(['--line', '--muted']);
  for (const { series } of Object.values(CHARTS)) for (const { colour } of series) names.add(colour);
  colours = {};
  for (const name of names) {
    probe.style.color = `var(${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

const faint = (colour, opacity) => colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${opacity})`);

/** All charts of the page, for one range of time. */
export class Charts {
  #charts;
  #cursorTime = document.getElementById('cursor-time');
  #cursorWords = document.getElementById('cursor-words');
  #announcing = 0;
  #range = 600;
  #drawnAt = -Infinity;

  constructor() {
    readColours();
    this.#charts = Object.entries(CHARTS).map(([name, spec]) => new Chart(name, spec, (at) => this.#cursor(at), (words) => this.#announce(words)));
    addEventListener('themechange', () => {
      readColours();
      for (const chart of this.#charts) chart.redraw();
    });
  }

  /** Draws the last `range` seconds of `history`; `again` even if it would look no different. */
  draw(history, range, again) {
    const now = history.latest?.at;
    if (now === undefined || document.hidden) return;
    // A chart of a day does not move within a second.
    const moves = Math.min(range / 600, 10);
    if (!again && range === this.#range && Math.abs(now - this.#drawnAt) < moves - 0.5) return;
    this.#range = range;
    this.#drawnAt = now;
    const { step, rows } = history.last(range);
    for (const chart of this.#charts) chart.draw(rows, step, now, range);
  }

  #cursor(at) {
    write(this.#cursorTime, at === null ? '' : `at ${clock(at)}`);
  }

  // Only what keys lead to is announced: a pointer passes over much that nobody asks for.
  #announce(words) {
    clearTimeout(this.#announcing);
    this.#announcing = setTimeout(() => write(this.#cursorWords, words), words === '' ? 0 : ANNOUNCED_AFTER_MS);
  }
}

class Chart {
  #name;
  #slider;
  #announce;
  #spec;
  #plot;
  #rows = [];
  #window = [0, 1];
  #legend;
  #words;
  #wordsAt = -Infinity;
  #wordsRange = 0;

  constructor(name, spec, onCursor, announce) {
    this.#name = name;
    this.#announce = announce;
    this.#spec = spec;
    const figure = document.getElementById(`chart-${name}`);
    const canvas = figure.querySelector('.plot');
    this.#slider = canvas;
    this.#words = figure.querySelector('.words');
    this.#legend = spec.series.map((series) => legendEntry(figure.querySelector('.legend'), name, series, spec.as));
    this.#plot = new uPlot(this.#options(canvas.clientWidth || 320, onCursor), [[], ...spec.series.map(() => [])], canvas);
    new ResizeObserver(() => {
      if (canvas.clientWidth > 0) this.#plot.setSize({ width: canvas.clientWidth, height: HEIGHT });
    }).observe(canvas);
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('blur', () => this.#leave());
  }

  draw(rows, step, now, range) {
    this.#window = [now - range, now];
    this.#rows = withGaps(rows, step);
    const columns = this.#spec.series.map(({ drawn }) => this.#rows.map((row) => (row.gap ? null : this.#drawable(drawn(row)))));
    this.#plot.setData([this.#rows.map((row) => row.at), ...columns]);
    this.#figures(this.#plot.cursor.idx ?? null);
    this.#describe(now, range);
  }

  redraw() {
    this.#plot.redraw(false);
  }

  // A logarithmic scale has no nought.
  #drawable(value) {
    return this.#spec.logarithmic && value !== null ? Math.max(value, 0.01) : value;
  }

  #value(index, row) {
    const { shown, drawn } = this.#spec.series[index];
    return !row || row.gap ? null : (shown ?? drawn)(row);
  }

  #figures(cursor) {
    const row = cursor === null ? this.#rows.at(-1) : this.#rows[cursor];
    this.#legend.forEach((element, index) => show(element, this.#value(index, row)));
  }

  // For those who cannot see the curve. Not each second: a text that changes while it is read out is of no use.
  #describe(now, range) {
    if (range === this.#wordsRange && now - this.#wordsAt < WORDS_EVERY_SECONDS) return;
    this.#wordsAt = now;
    this.#wordsRange = range;
    const parts = this.#spec.series.map(({ label }, index) => {
      const values = this.#rows.map((row) => this.#value(index, row)).filter((value) => value !== null);
      if (values.length === 0) return `${label}: nothing known`;
      const [low, high, last] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b)), values.at(-1)]
        .map((value) => format(this.#spec.as, value));
      return `${label}: last ${last}, lowest ${low}, highest ${high}`;
    });
    write(this.#words, `Last ${format('seconds', range)}. ${parts.join('; ')}.`);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || this.#rows.length === 0) return;
    event.preventDefault();
    const last = this.#rows.length - 1;
    const index = Math.min(Math.max((this.#plot.cursor.idx ?? last + 1) + step, 0), last);
    const row = this.#rows[index];
    this.#plot.setCursor({ left: this.#plot.valToPos(row.at, 'x'), top: 0 });
    const [from, to] = this.#window;
    this.#position(Math.round((100 * (row.at - from)) / (to - from)), clock(row.at));
    const values = this.#spec.series.map(({ label }, at) => {
      const value = this.#value(at, row);
      return `${label} ${value === null ? 'unknown' : format(this.#spec.as, value)}`;
    });
    this.#announce(`At ${clock(row.at)}: ${values.join(', ')}.`);
  }

  #leave() {
    this.#plot.setCursor({ left: -10, top: -10 });
    this.#position(100, 'the newest');
    this.#announce('');
  }

  // Set by keys alone: what changed by itself each second would be read out each second.
  #position(percent, words) {
    this.#slider.setAttribute('aria-valuenow', String(Math.min(Math.max(percent, 0), 100)));
    this.#slider.setAttribute('aria-valuetext', words);
  }

  #options(width, onCursor) {
    const { as, logarithmic, series } = this.#spec;
    const axis = {
      stroke: () => colours['--muted'],
      font: '11px system-ui, sans-serif',
      grid: { stroke: () => colours['--line'], width: 1 },
      ticks: { show: false },
    };
    return {
      width,
      height: HEIGHT,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: 'performance' }, points: { size: 7 } },
      scales: {
        x: { time: true, range: () => this.#window },
        y: { distr: logarithmic ? 3 : 1, range: (plot, low, high) => this.#extent(low, high) },
      },
      axes: [
        { ...axis, size: 21, gap: 4, space: 64, values: (plot, at) => at.map(shortClock) },
        { ...axis, size: 58, gap: 6, space: 28, ...splits(as, logarithmic), values: (plot, at, axis, space, step) => at.map((value) => axisText(as, value, step)) },
      ],
      series: [{}, ...series.map((each) => line(each))],
      bands: series.flatMap(({ stacked }, index) => (stacked && series[index + 1]?.stacked ? [{ series: [index + 1, index + 2] }] : [])),
      hooks: {
        setCursor: [(plot) => {
          const index = plot.cursor.idx ?? null;
          this.#figures(index);
          onCursor(index === null ? null : (this.#rows[index]?.at ?? null));
        }],
      },
    };
  }

  #extent(low, high) {
    const { logarithmic, ceiling, floor } = this.#spec;
    if (logarithmic) return high === null || high === undefined ? [0.1, 1000] : uPlot.rangeLog(Math.min(low, 0.1), Math.max(high, 10), 10, true);
    if (ceiling) return [0, ceiling];
    return [0, uPlot.rangeNum(0, Math.max(high ?? 0, floor), 0.1, true)[1]];
  }
}

// Where the lines across are: at powers of ten on a logarithmic scale, at whole units for bytes.
function splits(as, logarithmic) {
  if (logarithmic) return { splits: (plot, axis, low, high) => POWERS.filter((power) => power >= low * 0.99 && power <= high * 1.01) };
  return as === 'bytes' ? { incrs: BINARY } : {};
}

function line({ colour, area, stacked }) {
  const stroke = () => colours[colour];
  let fill;
  if (stacked) fill = () => faint(colours[colour], 0.75);
  else if (area) fill = () => faint(colours[colour], 0.14);
  return {
    stroke: stacked ? undefined : stroke,
    width: stacked ? 0 : 1.5,
    fill,
    // A point with unknown neighbours is no line and would not be seen.
    points: { show: !stacked, size: 4, filter: (plot, index) => alone(plot.data[index]), fill: stroke, stroke },
  };
}

function alone(values) {
  const indices = [];
  values.forEach((value, index) => {
    if (value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null) indices.push(index);
  });
  return indices;
}

// Where steps are missing the process was halted: the line breaks instead of bridging it.
function withGaps(rows, step) {
  const all = [];
  let before = null;
  for (const row of rows) {
    if (before !== null && row.at - before > 2.5 * step) all.push({ at: before + step, gap: true });
    all.push(row);
    before = row.at;
  }
  return all;
}

function legendEntry(list, chart, { name, label, colour, stacked }, as) {
  const entry = list.appendChild(document.createElement('li'));
  const swatch = entry.appendChild(document.createElement('i'));
  swatch.className = stacked ? 'swatch block' : 'swatch';
  swatch.style.background = `var(${colour})`;
  swatch.setAttribute('aria-hidden', 'true');
  entry.append(`${label} `);
  const value = entry.appendChild(document.createElement('b'));
  value.dataset.figure = `chart.${chart}.${name}`;
  value.dataset.as = as;
  return value;
}
