// Armed rules in words: whom one meets, how often, and when it ends; knows no element.

import { listed, t } from "../lib/texts.js";

/** Which jobs a rule is for. */
export function whomOf({ match = {} }) {
  const { share, nth, ...texts } = match;
  const parts = Object.entries(texts).map(([member, pattern]) => `${member} ${pattern}`);
  if (nth !== undefined) parts.unshift(t("number {n}", { n: nth }));
  if (share !== undefined) parts.unshift(t("{share} of the jobs", { share: percent(share) }));
  return listed(parts) || t("every job");
}

/** How often a rule meets those. */
export function oftenOf({ often = {}, after = {}, until = {} }) {
  const parts = [
    [often.probability, (chance) => percent(chance)],
    [often.per, (unit) => t("per {unit}", { unit })],
    [often.first, (number) => t("first {n}", { n: number })],
    [often.events, (numbers) => t("events {n}", { n: numbers })],
    [often.attempts, (numbers) => t("attempts {n}", { n: numbers })],
    [after.seconds, (seconds) => t("after {n} s", { n: seconds })],
    [until.count, (number) => t("{n} times at most", { n: number })],
    [until.seconds, (seconds) => t("for {n} s", { n: seconds })],
    [until.at, (instant) => t("until {when}", { when: instant })],
  ];
  const given = parts.filter(([value]) => value !== undefined);
  return listed(given.map(([value, inWords]) => inWords(value))) || t("always");
}

const percent = (share) => `${Number((share * 100).toPrecision(3))} %`;
