// What a job's record tells: facts, phases, transitions, callbacks.

import { card, cards, el, setText } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { between, bytes, clock, dated, duration } from "../lib/format.js";
import { paidFor } from "../data/jobs.js";
import { hitText } from "../data/mocks.js";
import { errorText, listed, sentenceText, t } from "../lib/texts.js";

const FAILED = /^([a-z][a-z0-9_]*), attempt (\d+) failed: (.*)$/s;

// Of fields that a pipeline's input has beside those of every job.
const LABELS = { on_video_failure: "If the video fails" };

// `job-….video.1` without the job.
const shortId = (externalId) =>
  externalId.split(".").slice(1).map((part) => t(part)).join(" ") || externalId;

/** The plain facts of a record, as a list of names and values, under its error. */
export function facts(record) {
  const { created_at: created, started_at: started, finished_at: finished, attempts } = record;
  const assets = Object.entries(record.assets);
  const files = assets.map(([step, { size }]) => `${t(step)} ${bytes(size)}`);
  const rows = [
    [t("Id"), record.job_id],
    [t("Style"), record.style],
    [t("Tag"), record.tag],
    [t("Priority"), record.priority],
    ...Object.entries(record.input).map(([name, value]) => [
      t(LABELS[name] ?? name),
      typeof value === "string" ? t(value) : JSON.stringify(value),
    ]),
    [t("Created"), dated(created)],
    [t("Waited"), started && duration(between(created, started))],
    [t("Took"), started && finished && duration(between(started, finished))],
    [t("Ahead at the vendor"), record.vendor_position],
    [t("Paid for"), paidFor(attempts)],
    [t("Charged"), charged(record.units ?? {})],
    [t("Files"), listed(files)],
  ].flatMap(([name, value]) => [
    el("dt", {}, name),
    el("dd", { dir: "auto" }, String((value ?? "") === "" ? "–" : value)),
  ]);
  return el("div", {}, trouble(record.error), el("dl", { class: "facts" }, ...rows));
}

function charged(units) {
  const amounts = Object.entries(units);
  if (!amounts.length) return "";
  const parts = amounts.map(([id, value]) => t("{what}: {value}", { what: shortId(id), value }));
  const sum = amounts.reduce((total, [, amount]) => total + Number(amount), 0);
  const total = Number(sum.toPrecision(12));
  return t("{total} of the vendor's units ({parts})", { total, parts: listed(parts) });
}

function trouble(error) {
  if (!error) return null;
  return el("p", { class: "trouble" }, el("strong", {}, error.code), `: ${errorText(error)}`);
}

function section(title, ...parts) {
  return el("section", {}, el("h3", {}, title), ...parts);
}

const hint = (text) => el("p", { class: "hint" }, text);

/** The phases on a line; under it every transition, and every fault of a mock in its place. */
export function timeline(record, hits) {
  const changes = record.transitions.map((each, place) => ({
    at: each.at,
    row: transition(each, record.transitions[place - 1]),
  }));
  const faults = hits.map((hit) => ({ at: hit.at, row: fault(hit) }));
  const rows = [...changes, ...faults].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  if (!rows.length) return section(t("Timeline"), hint(t("Nothing has happened yet.")));
  const list = el("ol", { class: "transitions" }, ...rows.map(({ row }) => row));
  return section(t("Timeline"), phases(record), list);
}

function phases(record) {
  const items = phasesOf(record).map(({ name, from, to }) => {
    const length = Math.max(0.001, between(from, to));
    const text = t("{what}: {value}", { what: t(name), value: duration(length) });
    const named = { class: `phase ${name.split(" ")[0]}`, title: text };
    const item = el("li", named, text);
    item.style.flexGrow = length;
    return item;
  });
  return el("ol", { class: "phases", "aria-label": t("Phases") }, ...items);
}

// What the job did, from when to when.
function phasesOf(record) {
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
  if (note.endsWith(" gate")) return "waiting for the gate";
  if (note.includes("failed")) return "pause after a failure";
  if (note.includes("waiting for its callback")) return "waiting for the callback";
  return step ?? "starting";
}

function entry(at, kind, second, ...cells) {
  const since = el("span", { class: "since" }, second);
  return el("li", { class: kind }, el("time", { datetime: at }, clock(at)), since, ...cells);
}

function transition({ at, percent, note, status }, before) {
  const kind = FAILED.test(note) || status === "failed" ? "bad" : null;
  const since = before ? `+${duration(between(before.at, at))}` : "";
  const said = el("span", { dir: "auto" }, note ? sentenceText(note) : t(status));
  return entry(at, kind, since, said, el("span", { class: "since" }, `${percent} %`));
}

function fault(hit) {
  return entry(hit.at, "fault", t("fault"), el("span", {}, hitText(hit)));
}

/** The receipts of a job's callbacks, or the sentence that says why there are none. */
export function receipts(rows) {
  const title = el("h3", { id: "receipts" }, t("Callbacks"));
  if (typeof rows === "string") return el("section", {}, title, hint(rows));
  if (!rows.length) return el("section", {}, title, hint(t("No callback has arrived.")));
  const columns = ["Received", "Task", "Says", "Fate"].map((name) => t(name));
  const lines = rows.map(({ received_at: at, external_id: task, task_status: says, fate }) =>
    card(columns, [
      el("time", { datetime: at }, clock(at)),
      shortId(task),
      says ?? "–",
      el("span", { class: `fate ${fate}` }, t(fate.replaceAll("_", " "))),
    ]),
  );
  return el("section", {}, title, cards("receipts", columns, el("tbody", {}, ...lines)));
}
