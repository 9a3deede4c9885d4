// Planning of a large cluster as the controller does it: everything from nothing, one more host,
// and nothing to do. Pure work, no API server.
import { type Core, loadCore } from '../core-wasm/index.ts';
import type { IndexInput } from '../src/controller/plan/index-input.ts';
import { type IndexPlan, planIndices } from '../src/controller/plan/indices.ts';
import { formatLedger } from '../src/controller/plan/ledger.ts';
import { parseCidr } from '../src/shared/model/ip/cidr.ts';
import { type BenchRow, measure, printRows, timeRow } from './row.ts';

const HOSTS = 5_000;
const NICS = 16;

const subnet = parseCidr('10.0.0.0/8');
if (subnet === undefined) throw new Error('the subnet of the bench is not one');
const nets = Array.from({ length: NICS }, (_, index) => `172.${index + 16}.0.0/16`);
const division = { subnet: '10.0.0.0/8', interfaceBits: 4, hostBits: 13 };

type Published = ReadonlyMap<string, ReadonlyMap<string, number>>;
const NONE: ReadonlyMap<string, number> = new Map();

function toInput(
  hostCount: number,
  published: Published,
  ledger: IndexInput['ledger'],
): IndexInput {
  const names = Array.from({ length: hostCount }, (_, index) => `node-${1_000_000 + index}`);
  return {
    network: {
      uid: 'bench',
      subnets: subnet === undefined ? [] : [subnet],
      interfaceBits: division.interfaceBits,
      hostBits: division.hostBits,
      excludes: [],
      masterNets: [],
      division,
    },
    ledger,
    interfaceRecords: [],
    hosts: names.map((name) => ({
      name,
      netAddresses: nets,
      published: published.get(name) ?? NONE,
    })),
    hostRecords: [],
    gone: new Set(),
    pending: new Map(),
    freeable: new Set(),
    mode: 'full',
    assignHostsMax: HOSTS + 1,
  };
}

function toPublished({ publish }: IndexPlan): Published {
  return new Map(
    publish.map(({ hostName, indices }) => [
      hostName,
      new Map(indices.map(({ netAddress, hostIndex }) => [netAddress, hostIndex])),
    ]),
  );
}

function plan(core: Core, input: IndexInput): IndexPlan {
  const result = planIndices(core, input);
  if (result.problems.length > 0) throw new Error(JSON.stringify(result.problems));
  return result;
}

/** Rows for the report. */
export async function runControllerBench(): Promise<BenchRow[]> {
  const core = await loadCore();
  const empty = toInput(HOSTS, new Map(), undefined);
  const first = plan(core, empty);
  const published = toPublished(first);
  const settled = toInput(HOSTS, published, first.ledger);
  const joining = toInput(HOSTS + 1, published, first.ledger);
  if (plan(core, settled).publish.length !== 0) throw new Error('a settled plan publishes');
  if (plan(core, joining).publish.length !== 1) throw new Error('one host was to be published');
  const o = { samples: 30, warmups: 5 };
  const ledgerBytes = formatLedger(first.ledger).length;
  const size = `${HOSTS} hosts x ${NICS} NICs`;
  return [
    timeRow(
      `plan indices of ${size} from nothing`,
      'ms',
      measure(() => plan(core, empty), o),
      {
        note: `ledger ${(ledgerBytes / 1024).toFixed(1)} KiB; the division alone: section Core`,
      },
    ),
    timeRow(
      `plan one more host beside ${size}`,
      'ms',
      measure(() => plan(core, joining), o),
      {
        note: 'two small writes follow: the ledger and that host',
      },
    ),
    timeRow(
      `plan ${size} when nothing changed`,
      'ms',
      measure(() => plan(core, settled), o),
    ),
    timeRow(
      'write the ledger as text',
      'ms',
      measure(() => formatLedger(first.ledger), o),
    ),
  ];
}

if (import.meta.main) printRows(await runControllerBench());
