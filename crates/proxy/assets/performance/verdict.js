// The one answer that an operator looks for first: is all well, and if not, why.

import { format } from './format.js';

const UNWATCHED = 'Requests are not watched on this node: telemetry.enabled = false';

/** Whether the node looks at its requests; one that does not say so does. */
export const isWatched = (state) => state.telemetry !== false;

/** `{ value, word, tone, reasons }` for the whole node, and a `title` where the word is a long one. */
export function verdict(state) {
  const { ready, alerts } = state;
  // Who does not look at requests can tell that something is wrong, but not that all is well.
  const unwatched = isWatched(state) ? [] : [UNWATCHED];
  const troubles = [...degraded(state), ...unwatched];
  if (!ready.ready) return { value: 'not-ready', word: 'Not ready', tone: 'bad', reasons: [unready(ready), ...troubles] };
  const firing = alerts?.firing ?? [];
  if (firing.length > 0) {
    const critical = firing.some((alert) => alert.severity === 'critical');
    const word = firing.length === 1 ? 'Alert firing' : `${firing.length} alerts firing`;
    // The alerts themselves are listed right below.
    return { value: 'alert', word, tone: critical ? 'bad' : 'warning', reasons: troubles };
  }
  if (troubles.length > unwatched.length) return { value: 'degraded', word: 'Degraded', tone: 'warning', reasons: troubles };
  if (unwatched.length > 0) return { value: 'unwatched', word: UNWATCHED, title: 'Not watched', tone: '', reasons: [] };
  return { value: 'ready', word: 'Ready', tone: 'good', reasons: [] };
}

function unready({ draining, warm }) {
  if (draining) return 'draining: it finishes what it has and takes no more';
  if (warm.state === 'warming') return `warming: holds ${warm.held} of ${warm.hot} hot answers`;
  return `warm-up: ${warm.state}`;
}

function degraded({ tiers, origin, ready, monitor }) {
  const reasons = [];
  const breaker = (who, state) => {
    if (state && state !== 'closed') reasons.push(`${who}: breaker ${state}`);
  };
  for (const each of origin.endpoints) breaker(`database endpoint ${each.endpoint}`, each.breaker);
  for (const each of origin.origins) {
    breaker(`origin ${each.origin}`, each.breaker);
    if (!each.healthy && each.breaker === 'closed') reasons.push(`origin ${each.origin}: unhealthy`);
  }
  for (const name of ['redis', 'disk']) {
    breaker(`${name} reads`, tiers[name]?.reads);
    breaker(`${name} writes`, tiers[name]?.writes);
  }
  if (ready.backplane === 'cut off') reasons.push('cut off from the other nodes');
  if (origin.governor?.redis_lost) reasons.push('Redis lost: the origin is held to a safe number of permits');
  // "calm" and "trim" are everyday life; from "stretch" on clients notice.
  if (['stretch', 'queue'].includes(origin.governor?.pressure)) reasons.push(`origin under pressure: ${origin.governor.pressure}`);
  for (const check of monitor?.checks ?? []) {
    if (check.state === 'down') reasons.push(`check ${check.name} (${format('way', check.way)}) is down${why(check)}`);
  }
  return reasons;
}

function why({ error, status }) {
  if (error) return `: ${error}`;
  return status ? `: status ${status}` : '';
}
