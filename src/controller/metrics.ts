// Counters and gauges in the text format of Prometheus. Every series exists from the start, so that
// a rate over it is right from the first event on.

type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly series: Map<string, number>;
}

export class Metrics {
  readonly #families = new Map<string, Family>();

  /** Declares a metric with the label sets that are known beforehand. */
  declare(name: string, type: 'counter' | 'gauge', help: string, sets: readonly Labels[]): void {
    const series = new Map(sets.map((labels) => [formatLabels(labels), 0]));
    this.#families.set(name, { help, type, series });
  }

  add(name: string, labels: Labels = {}, by = 1): void {
    const { series } = this.#family(name);
    const key = formatLabels(labels);
    series.set(key, (series.get(key) ?? 0) + by);
  }

  set(name: string, value: number, labels: Labels = {}): void {
    this.#family(name).series.set(formatLabels(labels), value);
  }

  /** Takes all series away, for gauges whose subjects come and go. */
  clear(name: string): void {
    this.#family(name).series.clear();
  }

  /** The exposition format, families and series in a fixed order. */
  format(): string {
    const lines: string[] = [];
    for (const [name, { help, type, series }] of this.#families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      const sorted = [...series].sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [labels, value] of sorted) lines.push(`${name}${labels} ${value}`);
    }
    return `${lines.join('\n')}\n`;
  }

  #family(name: string): Family {
    const family = this.#families.get(name);
    if (family === undefined) throw new RangeError(`metric ${name} was not declared`);
    return family;
  }
}

function formatLabels(labels: Labels): string {
  const members = Object.entries(labels).map(([key, value]) => `${key}="${escapeValue(value)}"`);
  return members.length === 0 ? '' : `{${members.join(',')}}`;
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
