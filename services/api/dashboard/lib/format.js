// Turns times, counts and states into words; knows no element.

import { LOCALE, t } from "./texts.js";

const UNITS = [
  [86400, "d", 3600, "h"],
  [3600, "h", 60, "min"],
  [60, "min", 1, "s"],
];

/** A length of time in seconds, as `0.4 s`, `12 s`, `3 min 5 s`, `2 h 1 min`. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 0) return t("{n} s", { n: 0 });
  if (seconds < 0.1) return t("{n} ms", { n: Math.round(seconds * 1000) });
  if (seconds < 10) return t("{n} s", { n: seconds.toFixed(1) });
  for (const [size, unit, smaller, small] of UNITS) {
    if (seconds >= size) {
      const rest = Math.floor((seconds % size) / smaller);
      return amount(Math.floor(seconds / size), unit) + (rest ? ` ${amount(rest, small)}` : "");
    }
  }
  return t("{n} s", { n: Math.floor(seconds) });
}

const amount = (n, unit) => t(`{n} ${unit}`, { n });

/** The seconds from one instant (RFC 3339) to another one, or to now. */
export function between(from, to = null) {
  return ((to === null ? Date.now() : Date.parse(to)) - Date.parse(from)) / 1000;
}

/** A whole-second length for what ticks once a second. */
export function ticking(seconds) {
  return seconds < 10 ? t("{n} s", { n: Math.max(0, Math.floor(seconds)) }) : duration(seconds);
}

/** A length of time in its largest unit alone. */
export function rough(seconds) {
  const [size, unit] = UNITS.find(([each]) => seconds >= each) ?? [1, "s"];
  return amount(Math.max(0, Math.floor(seconds / size)), unit);
}

/** An instant as a clock on the wall shows it, with tenths. */
export function clock(instant) {
  const moment = new Date(instant);
  const two = (number) => String(number).padStart(2, "0");
  const tenths = Math.floor(moment.getMilliseconds() / 100);
  return `${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}.${tenths}`;
}

// As `clock` shows it: of 24 hours.
const DATED = { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" };

/** An instant with its date, for a title. */
export function dated(instant) {
  return new Date(instant).toLocaleString(LOCALE, DATED);
}

/** `1 job`, `2 jobs`. */
export function count(number, noun) {
  return t(`{n} ${noun}${number === 1 ? "" : "s"}`, { n: number.toLocaleString(LOCALE) });
}

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  return size < 1e6 ? `${(size / 1e3).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
