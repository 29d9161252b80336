// A record's transitions as phases on a line, as a list with the faults that hit the job, and the
// attempts with what went wrong.

import { el } from "../lib/dom.js";
import { between, clock, duration } from "../lib/format.js";
import { hitText } from "../data/mocks.js";
import { noteText } from "../data/notes.js";
import { errorText } from "../lib/errors.js";
import { t } from "../lib/texts.js";

const FAILED = /^(image|video), attempt (\d+) failed: (.*)$/s;

/** The phases of a record: what it did, from when to when. */
export function phases(record) {
  const found = [];
  for (const { at, status, step, note } of record.transitions) {
    const name = phaseOf(status, step, note);
    const last = found.at(-1);
    if (last !== undefined && last.to === null) last.to = at;
    if (name === null) continue;
    if (last?.name === name) last.to = null;
    else found.push({ name, from: at, to: null });
  }
  return found;
}

function phaseOf(status, step, note) {
  if (status === "queued") return "queued";
  if (status !== "running") return null;
  if (note.includes("stored")) return "storing";
  if (note.includes("failed")) return "pause after a failure";
  if (note.includes("waiting for its callback")) return "waiting for the callback";
  return step ?? "starting";
}

/** The line of phases, and under it every transition, and every fault of a mock in its place. */
export function timeline(record, hits) {
  const title = el("h3", {}, t("Timeline"));
  const changes = record.transitions.map((each, place) => ({
    at: each.at,
    row: transition(each, record.transitions[place - 1]),
  }));
  const faults = hits.map((hit) => ({ at: hit.at, row: fault(hit) }));
  const rows = [...changes, ...faults].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  if (!rows.length)
    return el("section", {}, title, el("p", { class: "hint" }, t("Nothing has happened yet.")));
  return el(
    "section",
    {},
    title,
    line(phases(record)),
    el("ol", { class: "transitions" }, ...rows.map(({ row }) => row)),
  );
}

function line(parts) {
  const lengths = parts.map(({ from, to }) => Math.max(0.001, between(from, to)));
  const items = parts.map(({ name }, place) => {
    const text = t("{what}: {value}", { what: t(name), value: duration(lengths[place]) });
    const item = el(
      "li",
      { class: `phase ${name.split(" ")[0]}`, title: text },
      el("span", {}, text),
    );
    item.style.flexGrow = lengths[place];
    return item;
  });
  return el("ol", { class: "phases", "aria-label": t("Phases") }, ...items);
}

function transition({ at, percent, note, status }, before) {
  const since = before ? `+${duration(between(before.at, at))}` : "";
  return el(
    "li",
    { class: FAILED.test(note) || status === "failed" ? "bad" : null },
    el("time", { datetime: at }, clock(at)),
    el("span", { class: "since" }, since),
    el("span", { dir: "auto" }, note ? noteText(note) : t(status)),
    el("span", { class: "since" }, `${percent} %`),
  );
}

function fault(hit) {
  return el(
    "li",
    { class: "fault" },
    el("time", { datetime: hit.at }, clock(hit.at)),
    el("span", {}, t("fault")),
    el("span", {}, hitText(hit)),
  );
}

/** The failed attempts of both stages with the reason of each. */
export function attempts(record) {
  const failed = record.transitions.map(({ note }) => FAILED.exec(note)).filter(Boolean);
  const used = t("{image} for the image, {video} for the video", record.attempts);
  if (record.status === "failed" && record.step)
    failed.push([
      null,
      record.step,
      record.attempts[record.step],
      record.error ? errorText(record.error) : "failed",
    ]);
  const rows = failed.map(([, step, number, reason]) =>
    el("li", { class: "bad" }, t("{what}: {value}", { what: `${t(step)} ${number}`, value: noteText(reason) })),
  );
  return el(
    "section",
    {},
    el("h3", {}, t("Attempts")),
    el("p", { class: "hint" }, used),
    el("ul", { class: "plain" }, ...rows),
  );
}
