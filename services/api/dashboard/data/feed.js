// The live feed: every job at once, then each change; a lost connection is made again.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
// After this silence the jobs that the API sends at the start are taken for complete.
const SETTLE_MILLISECONDS = 1500;

/** Follows `/ws/jobs`. `onState` hears connecting, live or lost; `onAll` the ids sent so far. */
export class Feed {
  #handlers;
  #pause = FIRST_PAUSE;
  #retry = 0;
  #seen = null;
  #settling = 0;
  #socket = null;

  constructor({ onJob, onState, onAll }) {
    this.#handlers = { onJob, onState, onAll };
    window.addEventListener("online", () => this.#now());
    document.addEventListener("visibilitychange", () => document.hidden || this.#now());
  }

  start() {
    this.#handlers.onState("connecting");
    const address = new URL("/ws/jobs", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address);
    this.#socket.onopen = () => this.#opened();
    this.#socket.onmessage = (event) => this.#received(JSON.parse(event.data));
    this.#socket.onclose = () => this.#lost();
  }

  #opened() {
    this.#pause = FIRST_PAUSE;
    this.#seen = new Set();
    this.#settleLater();
    this.#handlers.onState("live");
  }

  #received(job) {
    this.#handlers.onJob(job);
    if (this.#seen === null) return;
    this.#seen.add(job.job_id);
    this.#settleLater();
  }

  #settleLater() {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      const seen = this.#seen;
      this.#seen = null;
      this.#handlers.onAll(seen);
    }, SETTLE_MILLISECONDS);
  }

  #lost() {
    clearTimeout(this.#settling);
    this.#socket = null;
    this.#handlers.onState("lost");
    // Many pages must not come back in the same instant.
    this.#retry = setTimeout(() => this.start(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  #now() {
    if (this.#socket !== null) return;
    clearTimeout(this.#retry);
    this.start();
  }
}
