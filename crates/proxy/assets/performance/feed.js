// The feed: server-sent events read with fetch(), because an EventSource cannot send a token.

const FEED = '/admin/performance/feed';
const TOKEN = 'performance-token';
// The server sends something every second; a connection silent for this long is dead though nobody said so.
const SILENCE_MS = 6_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
// A day of history is well below 1 MiB.
const LARGEST_EVENT = 16 * 1024 * 1024;

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** An answer that is not the feed. */
class Refused extends Error {
  constructor(status, text) {
    super(`the server answered ${status}`);
    this.status = status;
    this.text = text;
  }
}

/**
 * Keeps the feed open for as long as the page is.
 * `on.event(name, document)`, `on.lost(why, retryAt)` and `on.refused(status, text)` hear of it;
 * after `refused` nothing is tried until `now()`.
 */
export class Feed {
  #on;
  #timer = 0;
  #pause = FIRST_PAUSE_MS;
  #connection = null;

  constructor(on) {
    this.#on = on;
  }

  /** Connects at once, whatever was going on. */
  now() {
    clearTimeout(this.#timer);
    this.#connection?.abort();
    this.#connect(new AbortController());
  }

  async #connect(connection) {
    this.#connection = connection;
    try {
      await read(connection, (name, document) => {
        if (this.#connection !== connection) return;
        // A server that greets and then falls over is not well yet: only figures end the waiting.
        if (name === 'now') this.#pause = FIRST_PAUSE_MS;
        this.#on.event(name, document);
      });
      throw new Error('the server ended it');
    } catch (error) {
      // Another connection has taken over: what became of this one is of no interest.
      if (this.#connection !== connection) return;
      this.#connection = null;
      connection.abort();
      if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
        this.#on.refused(error.status, error.text);
      } else {
        this.#again(connection.signal.reason?.silent ? 'nothing was heard for a while' : reason(error));
      }
    }
  }

  #again(why) {
    const pause = this.#pause;
    this.#pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    this.#timer = setTimeout(() => this.now(), pause);
    this.#on.lost(why, Date.now() + pause);
  }
}

// What fetch() itself says of a failure differs from browser to browser and helps nobody.
function reason(error) {
  return error instanceof TypeError ? 'the server cannot be reached' : error.message;
}

async function read(connection, heard) {
  let last = Date.now();
  const watch = setInterval(() => {
    if (Date.now() - last > SILENCE_MS) connection.abort({ silent: true });
  }, 1_000);
  try {
    const headers = { Accept: 'text/event-stream' };
    const known = token.get();
    if (known) headers.Authorization = `Bearer ${known}`;
    const answer = await fetch(FEED, { headers, cache: 'no-store', redirect: 'error', signal: connection.signal });
    if (!answer.ok) throw new Refused(answer.status, (await answer.text()).slice(0, 500).trim());
    const lines = new Lines(heard);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      last = Date.now();
      lines.push(value);
    }
  } finally {
    clearInterval(watch);
  }
}

/** Takes the stream apart into events. */
class Lines {
  #heard;
  #rest = '';
  #name = '';
  #data = [];

  constructor(heard) {
    this.#heard = heard;
  }

  push(chunk) {
    // Only the new part can hold the end of a line: a long line must not be searched from its start each time.
    let from = this.#rest.length;
    const text = this.#rest + chunk;
    let start = 0;
    for (let end = text.indexOf('\n', from); end >= 0; end = text.indexOf('\n', from)) {
      this.#line(text.slice(start, text[end - 1] === '\r' ? Math.max(start, end - 1) : end));
      start = end + 1;
      from = start;
    }
    this.#rest = text.slice(start);
    if (this.#rest.length > LARGEST_EVENT) throw new Error('it sent more than any feed holds');
  }

  #line(line) {
    if (line === '') {
      this.#dispatch();
    } else if (line.startsWith('event:')) {
      this.#name = line.slice(6).trim();
    } else if (line.startsWith('data:')) {
      this.#data.push(line.slice(5));
    }
  }

  #dispatch() {
    const data = this.#data.join('\n');
    const name = this.#name;
    this.#data = [];
    this.#name = '';
    if (data === '') return;
    let parsed;
    try {
      parsed = JSON.parse(data);
    } catch {
      throw new Error('it sent what cannot be read');
    }
    this.#heard(name, parsed);
  }
}
