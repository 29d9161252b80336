// What the mocks say of themselves: the rules in force, and which faults have hit which job.

import { Repeat, get } from "../lib/api.js";
import { Listened } from "../lib/listened.js";
import { t } from "../lib/texts.js";

export const MOCKS = { "mock-comfyui": "image", "mock-kling": "video" };
const MILLISECONDS = 2000;

/** Asks the mocks again and again; listeners hear the ids of the jobs that were hit. */
export class Mocks extends Listened {
  /** Those that there are. */
  names = [];
  armed = 0;
  stats = {};
  #hits = new Map();
  #known = {};

  follow(stages) {
    this.names = Object.keys(MOCKS).filter((mock) => stages.includes(MOCKS[mock]));
    new Repeat(() => this.ask(), () => MILLISECONDS).start();
  }

  /** The faults that hit a job, the first of them first. */
  hitsOf(jobId) {
    return this.#hits.get(jobId) ?? [];
  }

  async ask() {
    const changed = new Set();
    await Promise.all(this.names.map((mock) => this.#askOne(mock, changed)));
    this.armed = Object.values(this.stats).reduce((sum, { rules_armed: n }) => sum + n, 0);
    this.notify(changed);
  }

  async #askOne(mock, changed) {
    try {
      const stats = await get(`/console/${mock}/stats`);
      await this.#askHits(mock, stats.faults_injected, changed);
      this.stats[mock] = stats;
    } catch {
      delete this.stats[mock];
    }
  }

  async #askHits(mock, recorded, changed) {
    if (recorded === (this.#known[mock] ?? 0)) return;
    const { rows } = await get(`/console/${mock}/trace`);
    this.#forget(mock, changed);
    for (const row of rows) this.#put({ ...row, mock }, changed);
    this.#known[mock] = recorded;
  }

  #put(hit, changed) {
    const jobId = hit.external_id?.split(".")[0];
    if (jobId === undefined) return;
    const hits = [...this.hitsOf(jobId), hit];
    this.#hits.set(jobId, hits.sort((a, b) => Date.parse(a.at) - Date.parse(b.at)));
    changed.add(jobId);
  }

  #forget(mock, changed) {
    for (const [jobId, hits] of this.#hits) {
      this.#hits.set(jobId, hits.filter((hit) => hit.mock !== mock));
      changed.add(jobId);
    }
  }
}

/** What a hit did, in words: `e-fail: start fail (video 1)`. */
export function hitText(hit) {
  return `${hit.rule}: ${hit.where} ${hit.do} (${t(MOCKS[hit.mock])} ${hit.attempt})`;
}

/** Which jobs a rule is for, in the rule's own words: `share 0.5, prompt t*`. */
export const whomOf = ({ match }) => members(match) || t("every job");

/** How often a rule meets those. */
export function oftenOf({ often, until }) {
  const parts = [members(often), members(until, "until ")];
  return parts.filter(Boolean).join(", ") || t("always");
}

function members(given = {}, before = "") {
  return Object.entries(given)
    .map(([member, value]) => `${before}${member} ${value}`)
    .join(", ");
}
