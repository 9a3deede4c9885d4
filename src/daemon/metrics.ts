// Counters, gauges and histograms in the Prometheus text format. Every series exists from the
// start with the value 0, so that a rate over it is defined before the first event.

/** Labels of one series, in the order in which they are printed. */
export type Labels = Readonly<Record<string, string>>;

/** One value of a gauge that is read when somebody asks. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  lines(): string[];
}

/** Upper bounds in seconds: attachments take milliseconds, trouble takes seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** A value that only grows. */
export interface Counter {
  add(labels: Labels, value?: number): void;
  value(labels: Labels): number;
}

/** Durations, in buckets. */
export interface Histogram {
  observe(labels: Labels, seconds: number): void;
}

/** All metrics of one process. */
export class Metrics {
  readonly #families: Family[] = [];

  /** `series`: the label sets that exist from the start. */
  counter(o: { name: string; help: string; series: readonly Labels[] }): Counter {
    const values = new Map<string, number>(o.series.map((labels) => [toText(labels), 0]));
    this.#families.push({
      ...o,
      type: 'counter',
      lines: () => [...values].map(([labels, value]) => `${o.name}${labels} ${value}`),
    });
    return {
      add: (labels, value = 1) => {
        const key = toText(labels);
        values.set(key, (values.get(key) ?? 0) + value);
      },
      value: (labels) => values.get(toText(labels)) ?? 0,
    };
  }

  /** `read` is called for each scrape. A name that ends in `_total` is that of a counter. */
  gauge(o: { name: string; help: string; read: () => readonly Sample[] }): void {
    this.#families.push({
      ...o,
      type: o.name.endsWith('_total') ? 'counter' : 'gauge',
      lines: () => o.read().map(({ labels, value }) => `${o.name}${toText(labels)} ${value}`),
    });
  }

  histogram(o: { name: string; help: string; series: readonly Labels[] }): Histogram {
    const empty = (labels: Labels) => ({ labels, counts: SECONDS.map(() => 0), sum: 0, count: 0 });
    const values = new Map(o.series.map((labels) => [toText(labels), empty(labels)]));
    this.#families.push({
      ...o,
      type: 'histogram',
      lines: () => [...values.values()].flatMap((series) => histogramLines(o.name, series)),
    });
    return {
      observe: (labels, seconds) => {
        const key = toText(labels);
        const series = values.get(key) ?? empty(labels);
        values.set(key, series);
        series.sum += seconds;
        series.count += 1;
        for (const [index, bound] of SECONDS.entries()) {
          if (seconds <= bound) series.counts[index] = (series.counts[index] ?? 0) + 1;
        }
      },
    };
  }

  /** Everything in text format 0.0.4. */
  text(): string {
    return this.#families
      .flatMap((family) => [
        `# HELP ${family.name} ${family.help}`,
        `# TYPE ${family.name} ${family.type}`,
        ...family.lines(),
      ])
      .map((line) => `${line}\n`)
      .join('');
  }
}

function histogramLines(
  name: string,
  series: { labels: Labels; counts: readonly number[]; sum: number; count: number },
): string[] {
  const { labels, counts, sum, count } = series;
  const buckets = SECONDS.map(
    (bound, index) => `${name}_bucket${toText({ ...labels, le: String(bound) })} ${counts[index]}`,
  );
  return [
    ...buckets,
    `${name}_bucket${toText({ ...labels, le: '+Inf' })} ${count}`,
    `${name}_sum${toText(labels)} ${sum}`,
    `${name}_count${toText(labels)} ${count}`,
  ];
}

function toText(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return '';
  const quote = (value: string): string =>
    value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `{${entries.map(([key, value]) => `${key}="${quote(value)}"`).join(',')}}`;
}
