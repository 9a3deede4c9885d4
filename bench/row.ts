// What a bench reports, and how it is measured and printed. Benches return rows; whoever starts
// them decides where the rows go.

/** One measured fact. `median` and `p99` are in `unit`, per operation. */
export interface BenchRow {
  name: string;
  unit: string;
  median: number;
  p99: number;
  /** What it was compared with, in the same run. */
  peer?: string;
  /** Median of the peer divided by ours: above 1, ours is faster. */
  ratio?: number;
  /** What the median has to keep, for example `<= 50`; in `unit`. */
  target?: number | string;
  /** A fact that helps to read the row, for example what was measured elsewhere. */
  note?: string;
}

/** A benchmark that this machine cannot run; the message says why. */
export class NotMeasurable extends Error {}

/** Times of one operation, in milliseconds. */
export interface Times {
  readonly median: number;
  readonly p99: number;
}

/**
 * Runs `operate` once per sample, `warmups` samples first without counting them, and returns the
 * times of one of the `perSample` operations that each run of it does.
 */
export function measure(
  operate: () => unknown,
  o: { samples: number; warmups: number; perSample?: number },
): Times {
  const times: number[] = [];
  for (let sample = -o.warmups; sample < o.samples; sample++) {
    const start = Bun.nanoseconds();
    operate();
    const taken = Bun.nanoseconds() - start;
    if (sample >= 0) times.push(taken / 1e6 / (o.perSample ?? 1));
  }
  return summarise(times);
}

/** Median and 99th percentile of some times. */
export function summarise(times: readonly number[]): Times {
  return { median: median(times), p99: p99(times) };
}

/** The middle one of the values; NaN if there are none. */
export function median(values: readonly number[]): number {
  return rank(values, 0.5);
}

/** The 99th percentile; with fewer than 100 values it is the greatest. */
export function p99(values: readonly number[]): number {
  return rank(values, 0.99);
}

/** The smallest value that this share of the values does not exceed (nearest rank). */
function rank(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

const UNITS = { ms: 1, µs: 1e3, ns: 1e6 } as const;

/** What a row may be given beside our own times. */
export interface RowOptions {
  peer?: string;
  peerTimes?: Times;
  /** Why there are no times of the peer; the row names it all the same. */
  peerMissing?: string;
  target?: string;
  note?: string;
}

/** A row of times in milliseconds, shown in `unit`, with the times of a peer if there is one. */
export function timeRow(
  name: string,
  unit: keyof typeof UNITS,
  ours: Times,
  o: RowOptions = {},
): BenchRow {
  const row: BenchRow = {
    name,
    unit,
    median: significant(ours.median * UNITS[unit]),
    p99: significant(ours.p99 * UNITS[unit]),
  };
  if (o.target !== undefined) row.target = o.target;
  if (o.note !== undefined) row.note = o.note;
  if (o.peer !== undefined && o.peerTimes !== undefined) {
    row.peer = o.peer;
    row.ratio = significant(ours.median / o.peerTimes.median);
  }
  if (o.peer !== undefined && o.peerMissing !== undefined) {
    row.peer = `${o.peer}: not measured, ${o.peerMissing}`;
  }
  return row;
}

/** Three significant digits: more would be noise. */
function significant(value: number): number {
  return Number(value.toPrecision(3));
}

/** False if the row has a target that it misses. */
export function meetsTarget({ target, ratio, median: middle }: BenchRow): boolean {
  if (target === undefined) return true;
  if (typeof target === 'number') return ratio !== undefined && ratio <= target;
  return middle <= Number.parseFloat(target);
}

/** One readable line. */
export function formatRow(row: BenchRow): string {
  const parts = [
    `${row.name.padEnd(58)} ${`${row.median} ${row.unit}`.padStart(12)}`,
    `p99 ${row.p99} ${row.unit}`.padEnd(18),
  ];
  if (row.ratio !== undefined) parts.push(`${row.ratio} of ${row.peer}`);
  else if (row.peer !== undefined) parts.push(row.peer);
  if (row.target !== undefined) {
    parts.push(`wanted <= ${row.target}: ${meetsTarget(row) ? 'met' : 'MISSED'}`);
  }
  if (row.note !== undefined) parts.push(row.note);
  return parts.join('  ').trimEnd();
}

/** Prints the rows for people on stderr and as one JSON array on stdout. */
export function printRows(rows: readonly BenchRow[]): void {
  for (const row of rows) console.error(formatRow(row));
  console.log(JSON.stringify(rows));
}
