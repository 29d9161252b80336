// A job's plain facts, as a list of names and values.

import { el } from "../lib/dom.js";
import { errorText } from "../lib/errors.js";
import { between, bytes, count, dated, duration } from "../lib/format.js";
import { listed, t } from "../lib/texts.js";

/** The facts of a record. */
export function facts(record) {
  const rows = [
    ["Id", record.job_id],
    ["Style", record.style || "–"],
    ["Tag", record.tag ?? "–"],
    ["Priority", String(record.priority)],
    ["If the video fails", t(record.on_video_failure)],
    ["Created", dated(record.created_at)],
    ["Waited", record.started_at ? duration(between(record.created_at, record.started_at)) : "–"],
    [
      "Took",
      record.finished_at && record.started_at
        ? duration(between(record.started_at, record.finished_at))
        : "–",
    ],
    ["Before it at the vendor", String(record.vendor_position ?? "–")],
    ["Paid for", paid(record.attempts)],
    ["Charged", units(record.units)],
    ["Files", files(record.assets)],
  ];
  const list = el(
    "dl",
    { class: "facts" },
    ...rows.flatMap(([name, value]) => [el("dt", {}, t(name)), el("dd", { dir: "auto" }, value)]),
  );
  return el("div", {}, error(record), list);
}

function files(assets) {
  const parts = Object.entries(assets).map(([step, asset]) => `${t(step)} ${bytes(asset.size)}`);
  return listed(parts) || "–";
}

function paid({ image, video }) {
  return listed([count(image, "image"), count(video, "video")]);
}

function units(charged) {
  const amounts = Object.entries(charged ?? {});
  const parts = amounts.map(([id, amount]) => `${id.split(".").slice(1).map((part) => t(part)).join(" ")}: ${amount}`);
  if (!parts.length) return "–";
  const sum = amounts.reduce((total, [, amount]) => total + Number(amount), 0);
  const total = Number(sum.toPrecision(12));
  return t("{total} of the vendor's units ({parts})", { total, parts: listed(parts) });
}

function error(record) {
  if (!record.error) return null;
  return el(
    "p",
    { class: "trouble" },
    el("strong", {}, record.error.code),
    `: ${errorText(record.error)}`,
  );
}
