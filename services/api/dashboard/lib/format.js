// Turns times, counts and sizes into words.

import { LOCALE, t } from "./texts.js";

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

const amount = (n, unit) => t(`{n} ${unit}`, { n });

/** A length of time in seconds, as `40 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `2 h 1 min`. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 0.1) return amount(Math.max(0, Math.round(seconds * 1000)), "ms");
  if (seconds < 10) return amount(seconds.toFixed(1), "s");
  const place = UNITS.findIndex(([size]) => seconds >= size);
  const [size, unit] = UNITS[place];
  const [smaller, small] = UNITS[place + 1] ?? [Infinity, ""];
  const rest = Math.floor((seconds % size) / smaller);
  return amount(Math.floor(seconds / size), unit) + (rest ? ` ${amount(rest, small)}` : "");
}

/** A length of time that ticks once a second. */
export function ticking(seconds) {
  return seconds < 10 ? amount(Math.max(0, Math.floor(seconds)), "s") : duration(seconds);
}

/** A length of time in its largest unit only. */
export function rough(seconds) {
  const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? [1, "s"];
  return amount(Math.max(0, Math.floor(seconds / size)), unit);
}

/** The seconds from one instant (RFC 3339) to another one, or to now. */
export function between(from, to = null) {
  return ((to === null ? Date.now() : Date.parse(to)) - Date.parse(from)) / 1000;
}

/** An instant as a clock on the wall shows it, with tenths. */
export function clock(instant) {
  const moment = new Date(instant);
  const two = (number) => String(number).padStart(2, "0");
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":");
  return `${time}.${Math.floor(moment.getMilliseconds() / 100)}`;
}

const DATED = { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" };

/** An instant with its date. */
export const dated = (instant) => new Date(instant).toLocaleString(LOCALE, DATED);

/** `1 job`, `2 jobs`. */
export function count(number, noun) {
  return amount(number.toLocaleString(LOCALE), number === 1 ? noun : `${noun}s`);
}

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  return size < 1e6 ? `${(size / 1e3).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
