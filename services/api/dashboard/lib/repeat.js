// Does something again and again while it is wanted and the page is looked at, or until it goes well.

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 8000;

/** Does `work` anew, after pauses that double, until it has gone well or is refused. */
export async function untilDone(work) {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    await new Promise((done) => setTimeout(done, pause));
    try {
      return await work();
    } catch (error) {
      // Whoever asked is told in another place that the API is away.
      if (error.status >= 400 && error.status < 500) throw error;
    }
  }
}

/** Runs `work` at once and then every `milliseconds`, one at a time, from `start` to `stop`. */
export class Repeat {
  #work;
  #milliseconds;
  #timer = 0;
  #running = false;

  constructor(work, milliseconds) {
    this.#work = work;
    this.#milliseconds = milliseconds;
    document.addEventListener(
      "visibilitychange",
      () => this.#running && !document.hidden && this.#turn(),
    );
  }

  start() {
    this.#running = true;
    return this.#turn();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  async #turn() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    await this.#work();
    clearTimeout(this.#timer);
    if (this.#running) this.#timer = setTimeout(() => this.#turn(), this.#milliseconds);
  }
}
