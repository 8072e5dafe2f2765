// How raw values become text for people, and which of them carry a meaning that is shown in colour.

const NARROW = '\u202f';
export const UNKNOWN = '–';

// Below 100 000 plain digits, above that in groups: a long row of digits cannot be read at a glance.
function count(value) {
  const whole = String(Math.round(value));
  return Math.abs(value) < 100_000 ? whole : whole.replace(/\B(?=(\d{3})+$)/g, NARROW);
}

function rate(value) {
  if (value === 0) return '0';
  if (value < 0.1) return '<0.1';
  return value < 100 ? trim(value.toFixed(1)) : count(value);
}

// A share is never rounded to "all" or to "none" when it is neither.
function percent(value) {
  const hundredths = value * 100;
  let text;
  if (hundredths === 0) text = '0';
  else if (hundredths === 100) text = '100';
  else if (hundredths < 0.01) text = '<0.01';
  else if (hundredths < 1) text = hundredths.toFixed(2);
  else if (hundredths > 99.9 && hundredths < 100) text = '>99.9';
  else text = hundredths.toFixed(1);
  return `${text}${NARROW}%`;
}

function millis(value) {
  if (value >= 10_000) return `${count(value / 1000)}${NARROW}s`;
  if (value >= 1000) return `${(value / 1000).toFixed(2)}${NARROW}s`;
  if (value >= 10) return `${Math.round(value)}${NARROW}ms`;
  if (value >= 1) return `${value.toFixed(1)}${NARROW}ms`;
  return value === 0 ? `0${NARROW}ms` : `${value.toFixed(2)}${NARROW}ms`;
}

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

// Which of the units `value` is told in.
function powerOf(value) {
  let power = 0;
  while (value >= 1024 ** (power + 1) && power < BYTES.length - 1) power += 1;
  return power;
}

function bytes(value) {
  const power = powerOf(value);
  const size = value / 1024 ** power;
  const text = power === 0 || size >= 100 ? String(Math.round(size)) : size.toFixed(1);
  return `${text}${NARROW}${BYTES[power]}`;
}

const DURATIONS = [['d', 86_400], ['h', 3600], ['min', 60], ['s', 1]];

// The two largest units: "1 d 6 h", "5 min 20 s", "2 min".
function seconds(value) {
  if (value < 60) return `${trim(value.toFixed(1))}${NARROW}s`;
  const first = DURATIONS.findIndex(([, length]) => value >= length);
  const [unit, length] = DURATIONS[first];
  const [nextUnit, nextLength] = DURATIONS[first + 1];
  const rest = Math.floor((value % length) / nextLength);
  const text = `${count(Math.floor(value / length))}${NARROW}${unit}`;
  return rest > 0 ? `${text} ${rest}${NARROW}${nextUnit}` : text;
}

function trim(text) {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const SHORT_CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const DAY_CLOCK = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** The time of day of `unix`; with its date when that is not today. */
export function clock(unix) {
  const date = new Date(unix * 1000);
  return date.toDateString() === new Date().toDateString() ? CLOCK.format(date) : DAY_CLOCK.format(date);
}

export function shortClock(unix) {
  return SHORT_CLOCK.format(new Date(unix * 1000));
}

const word = (value) => String(value);
// Seconds of work for each second: a rate, never minutes.
const worked = (value) => `${rate(value)}${NARROW}s`;
const way = (value) => ({ cache: 'through the cache', origin: 'past the cache' })[value] ?? String(value);
// What went wrong may be told at length.
const shortened = (most) => (value) => (value.length > most ? `${value.slice(0, most - 2).trimEnd()} …` : value);
const yes = (value) => (value ? 'yes' : 'no');

const FORMATS = {
  count, rate, percent, millis, bytes, seconds, worked, clock, word, way, yes,
  breaker: word, check: word, healthy: yes, errors: count, wrong: yes, standing: word, pressure: word, severity: word,
  purge: word, failure: shortened(240), reason: shortened(140),
  // A text that may be missing without that being news.
  optional: word,
};

/** `value` as text, in the way that `as` names. */
export function format(as, value) {
  if (value === null || value === undefined || value === '') return as === 'optional' || as === 'failure' ? '' : UNKNOWN;
  return (FORMATS[as] ?? word)(value);
}

/** `value` beside an axis with a line each `step`: a plain number, with as many digits as tell the lines apart. */
export function axisText(as, value, step = value) {
  if (value === null || value === undefined) return '';
  if (as === 'percent') return `${plain(value * 100, step * 100)}${NARROW}%`;
  if (as === 'rate') return plain(value, step);
  if (as === 'worked') return `${plain(value, step)}${NARROW}s`;
  if (as === 'bytes') {
    const power = powerOf(value);
    return `${plain(value / 1024 ** power, step / 1024 ** power)}${NARROW}${BYTES[power]}`;
  }
  return format(as, value).replace(/\.0+(?=\D|$)|(\.\d*?)0+(?=\D|$)/, '$1');
}

// Without the noise that sums of fractions have at their end.
function plain(value, step) {
  let digits = 0;
  while (digits < 9 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6 * step * 10 ** digits) digits += 1;
  const text = trim(value.toFixed(digits));
  return Math.abs(value) < 100_000 ? text : count(value);
}

const TONES = {
  breaker: (value) => ({ closed: 'good', 'half-open': 'warning' })[value] ?? 'bad',
  check: (value) => ({ up: 'good', down: 'bad' })[value] ?? '',
  healthy: (value) => (value ? 'good' : 'bad'),
  errors: (value) => (value > 0 ? 'bad' : ''),
  failure: (value) => (value ? 'bad' : ''),
  wrong: (value) => (value ? 'bad' : ''),
  standing: (value) => ({ 'in step': 'good', 'cut off': 'bad' })[value] ?? '',
  pressure: (value) => ({ calm: 'good', trim: '', stretch: 'warning' })[value] ?? 'bad',
  severity: (value) => (value === 'critical' ? 'bad' : 'warning'),
};

/** `good`, `warning`, `bad` or nothing: what `value` means, for those kinds that mean something. */
export function tone(as, value) {
  return value === null || value === undefined ? '' : (TONES[as]?.(value) ?? '');
}
