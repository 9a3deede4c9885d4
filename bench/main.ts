// `make bench`: runs every benchmark, prints each figure with its ratio to a peer measured in the same run, and writes
// bench/RESULTS.md and bench/results.json. Benchmarks that touch links run in namespaces of their own.
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type BenchRow, formatRow, meetsTarget, NotMeasurable } from './row.ts';

const here = import.meta.dir;

interface Bench {
  name: string;
  title: string;
  /** Needs network and mount namespaces of its own. */
  isolated: boolean;
  load: () => Promise<() => Promise<BenchRow[]>>;
}

const benches: Bench[] = [
  {
    name: 'attach',
    title: 'Attach and detach, whole process',
    isolated: true,
    load: async () => (await import('./attach.bench.ts')).runAttachBench,
  },
  {
    name: 'daemon',
    title: 'Daemon',
    isolated: true,
    load: async () => (await import('./daemon.bench.ts')).runDaemonBench,
  },
  {
    name: 'hostnet',
    title: 'Kernel work',
    isolated: true,
    load: async () => (await import('./hostnet.bench.ts')).runHostnetBench,
  },
  {
    name: 'cni',
    title: 'Executable',
    isolated: false,
    load: async () => (await import('./cni.bench.ts')).runCniBench,
  },
  {
    name: 'core',
    title: 'Core',
    isolated: false,
    load: async () => (await import('./core.bench.ts')).runCoreBench,
  },
  {
    name: 'controller',
    title: 'Controller',
    isolated: false,
    load: async () => (await import('./controller.bench.ts')).runControllerBench,
  },
  {
    name: 'cluster',
    title: 'Real cluster',
    isolated: false,
    load: async () => (await import('./cluster.bench.ts')).runClusterBench,
  },
];

const MARK = 'bench-rows:';

/** Runs one benchmark in a process of its own, in fresh namespaces where it asks for them. */
async function runApart(bench: Bench): Promise<BenchRow[] | string> {
  const isolate = [
    'unshare',
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
  ];
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const [first = 'unshare', ...rest] = isolate;
  const command = bench.isolated ? [first, ...user, ...rest] : [];
  const child = Bun.spawn([...command, process.execPath, import.meta.path, '--only', bench.name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = await new Response(child.stdout).text();
  const line = output.split('\n').find((text) => text.startsWith(MARK));
  const code = await child.exited;
  if (line === undefined) return `ended with code ${code} and without figures`;
  return JSON.parse(line.slice(MARK.length)) as BenchRow[] | string;
}

/** The rows of a benchmark that runs in this process, or why this machine cannot run it. */
async function runHere(bench: Bench): Promise<BenchRow[] | string> {
  try {
    return await (await bench.load())();
  } catch (error) {
    if (error instanceof NotMeasurable) return error.message;
    throw error;
  }
}

function markdown(title: string, rows: BenchRow[] | string): string {
  if (typeof rows === 'string') return `## ${title}\n\nNot measured: ${rows}.\n`;
  const lines = rows.map((row) => {
    const ratio = row.ratio === undefined ? '' : `${row.ratio}`;
    const verdict = meetsTarget(row) ? 'met' : 'MISSED';
    const target = row.target === undefined ? '' : `<= ${row.target}: ${verdict}`;
    const figures = [`${row.median} ${row.unit}`, `${row.p99} ${row.unit}`];
    return `| ${[row.name, ...figures, row.peer ?? '', ratio, target, row.note ?? ''].join(' | ')} |`;
  });
  const header =
    '| what | median | p99 | peer in the same run | ours / peer | wanted | note |\n' +
    '|---|---|---|---|---|---|---|';
  return `## ${title}\n\n${header}\n${lines.join('\n')}\n`;
}

type Results = Record<string, BenchRow[] | string>;

const RESULTS = join(here, 'results.json');

/** Figures of earlier runs, so that one benchmark can be measured again by itself. */
async function earlierResults(): Promise<Results> {
  const file = Bun.file(RESULTS);
  return (await file.exists()) ? ((await file.json()) as Results) : {};
}

/**
 * What was measured now replaces what is there, also what another process wrote meanwhile; a
 * failure replaces nothing.
 */
async function writeResults(measured: Results): Promise<void> {
  const results = await earlierResults();
  for (const [name, rows] of Object.entries(measured)) {
    if (typeof rows !== 'string' || !Array.isArray(results[name])) results[name] = rows;
  }
  const machine = `${cpus().length} processors, ${cpus()[0]?.model.trim() ?? 'unknown'}`;
  const intro =
    '# Results\n\nWritten by `make bench`. Figures of one table were measured in one run; compare ratios, not ' +
    `milliseconds of different machines.\n\nMachine: ${machine}. Bun ${Bun.version}.\n`;
  const sections = benches.flatMap(({ name, title }) => {
    const rows = results[name];
    return rows === undefined ? [] : [markdown(title, rows)];
  });
  await Bun.write(join(here, 'RESULTS.md'), `${intro}\n${sections.join('\n')}`);
  await Bun.write(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
}

async function main(): Promise<number> {
  const chosen = Bun.argv.slice(2);
  const results: Results = {};
  let failures = 0;
  for (const bench of benches) {
    if (chosen.length > 0 && !chosen.includes(bench.name)) continue;
    console.log(`\n${bench.title}`);
    const rows = await runApart(bench);
    results[bench.name] = rows;
    if (typeof rows === 'string') {
      failures += 1;
      console.log(`${bench.name}: ${rows}`);
    } else {
      for (const row of rows) console.log(formatRow(row));
    }
  }
  await writeResults(results);
  return failures === 0 ? 0 : 1;
}

const only = Bun.argv.indexOf('--only');
if (only >= 0) {
  const bench = benches.find((candidate) => candidate.name === Bun.argv[only + 1]);
  if (bench === undefined) throw new Error(`no benchmark named ${Bun.argv[only + 1]}`);
  if (bench.isolated) Bun.spawnSync(['ip', 'link', 'set', 'lo', 'up']);
  console.log(MARK + JSON.stringify(await runHere(bench)));
  process.exit(0);
}
process.exit(await main());
