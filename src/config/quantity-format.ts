import { type Format, type Parsed, value, wrong } from './format.ts';

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};
/** Timers of Node overflow at 2^31 ms (24.8 days); a week is longer than any wait here needs. */
const longestDurationMs = 7 * 86_400_000;
const largestSizeBytes = 1000 ** 4;

/** A length of time; its value is in milliseconds. */
export const duration: Format<number> = {
  expected: 'a duration such as "500ms", "30s", "5m", "1h" or "1d"',
  pattern: '^[0-9]{1,9}(ms|s|m|h|d)$',
  parse(text) {
    const ms = quantity(text, durationUnits);
    if (ms === undefined) return wrong(`must be ${this.expected}`);
    return within(ms, 100, longestDurationMs, durationText);
  },
};

/** A number of bytes, plain or with a unit. */
export const size: Format<number> = {
  expected: 'a size such as 1048576, "64KiB", "100MB" or "1GB"',
  pattern: '^[0-9]{1,13}(B|KB|MB|GB|KiB|MiB|GiB)?$',
  parse(text) {
    const bytes = /^\d+$/.test(text) ? Number(text) : quantity(text, sizeUnits);
    if (bytes === undefined) return wrong(`must be ${this.expected}`);
    return within(bytes, 1000, largestSizeBytes, sizeText);
  },
};

/** Milliseconds as they are written in the file, in the largest unit that fits. */
export function durationText(ms: number): string {
  return inLargestUnit(ms, durationUnits);
}

/** Bytes as they are written in the file, in the largest unit that fits. */
export function sizeText(bytes: number): string {
  return inLargestUnit(bytes, sizeUnits);
}

function quantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit] = /^(\d{1,13})([A-Za-z]+)$/.exec(text) ?? [];
  const factor = unit === undefined || !Object.hasOwn(units, unit) ? undefined : units[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

function within(amount: number, least: number, most: number, write: (amount: number) => string): Parsed<number> {
  if (amount >= least && amount <= most) return value(amount);
  return wrong(`must be between ${write(least)} and ${write(most)}`);
}

function inLargestUnit(amount: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).filter(([, factor]) => amount % factor === 0);
  const [unit, factor] = fitting.sort(([, a], [, b]) => b - a)[0] ?? ['', 1];
  return `${amount / factor}${unit}`;
}
