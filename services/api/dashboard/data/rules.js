// Armed rules in words: whom one meets, how often, and when it ends; knows no element.

/** Which jobs a rule is for. */
export function whomOf({ match = {} }) {
  const { share, nth, ...texts } = match;
  const parts = Object.entries(texts).map(([member, pattern]) => `${member} ${pattern}`);
  if (nth !== undefined) parts.unshift(`number ${nth}`);
  if (share !== undefined) parts.unshift(`${percent(share)} of the jobs`);
  return parts.join(", ") || "every job";
}

/** How often a rule meets those. */
export function oftenOf({ often = {}, after = {}, until = {} }) {
  const parts = [
    [often.probability, (chance) => percent(chance)],
    [often.per, (unit) => `per ${unit}`],
    [often.first, (number) => `first ${number}`],
    [often.events, (numbers) => `events ${numbers}`],
    [often.attempts, (numbers) => `attempts ${numbers}`],
    [after.seconds, (seconds) => `after ${seconds} s`],
    [until.count, (number) => `${number} times at most`],
    [until.seconds, (seconds) => `for ${seconds} s`],
    [until.at, (instant) => `until ${instant}`],
  ];
  const given = parts.filter(([value]) => value !== undefined);
  return given.map(([value, inWords]) => inWords(value)).join(", ") || "always";
}

const percent = (share) => `${Number((share * 100).toPrecision(3))} %`;
