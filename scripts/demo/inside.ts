// The demo itself, first process of its own namespaces: builds the hosts, starts the product, attaches pods through the
// compiled executable, shows that every pod reaches every other over every NIC, removes the pods and proves that
// nothing is left.
import { parseArgs } from 'node:util';
import { openShell } from './explore.ts';
import * as lab from './lab.ts';
import { type Attached, attachPods, detachPods, reachability } from './pods.ts';
import { showAttachments, showLeftovers, showObjects, showReachability } from './report.ts';
import * as stack from './stack.ts';
import { bold, dim, heading, red, step } from './terminal.ts';

const { values } = parseArgs({
  args: Bun.argv.slice(2),
  options: {
    keep: { type: 'boolean', default: false },
    hosts: { type: 'string', default: '3' },
    nics: { type: 'string', default: '4' },
    pods: { type: 'string', default: '2' },
    wait: { type: 'string', default: '30' },
  },
});

function bounded(name: string, text: string, first: number, last: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= first && value <= last) return value;
  throw new Error(`--${name} must be a whole number from ${first} to ${last}, not '${text}'`);
}

/** The one object that a user writes. */
function networkFor(kind: 'ipvlan' | 'macvlan') {
  const routed = kind === 'ipvlan';
  const ipam = {
    type: 'multi-nic-ipam',
    hostBlock: 6,
    interfaceBlock: 4,
    vlanMode: routed ? 'l3' : 'l2',
  };
  return {
    apiVersion: 'multinic.fms.io/v1' as const,
    kind: 'MultiNicNetwork' as const,
    metadata: { name: 'multi-nic-sample' },
    spec: {
      subnet: '192.168.0.0/16',
      ipam: JSON.stringify(ipam),
      multiNICIPAM: true,
      plugin: { cniVersion: '1.1.0', type: kind, args: { mode: routed ? 'l3' : 'bridge' } },
    },
  };
}

async function demo(): Promise<boolean> {
  const size: lab.LabSize = {
    hosts: bounded('hosts', values.hosts, 2, 8),
    nics: bounded('nics', values.nics, 1, 16),
    podsPerHost: bounded('pods', values.pods, 1, 8),
  };
  stack.setWaitMs(bounded('wait', values.wait, 1, 600) * 1000);
  await lab.privateMounts();
  await step(`${size.hosts} hosts with ${size.nics} NICs each, one bridge per rail`, () =>
    lab.buildHosts(size),
  );
  const kind = await lab.linkKind();
  const running = await step('API server with our resource definitions', () =>
    stack.startApi(size),
  );
  await step('controller', stack.startController);
  await step('one daemon per host', () => stack.startDaemons(size));
  const network = networkFor(kind);
  const why = kind === 'ipvlan' ? 'this kernel has ipvlan' : 'this kernel has no ipvlan';
  const config = await step(
    `one MultiNicNetwork ${bold(network.metadata.name)}: ${kind} ${network.spec.plugin.args.mode} (${why})`,
    () => stack.createNetwork(running, network, size),
  );
  const attached = await step(
    `${size.hosts * size.podsPerHost} pods, each with ${size.nics} NICs`,
    () => attachPods(size, config),
  );
  showAttachments(attached);
  await step('pools published', () => stack.publishedAllocations(running, attached.length));
  await showObjects(running);
  const matrix = await step('every pod to every other over every NIC', () =>
    reachability(attached, size),
  );
  const complete = showReachability(attached, matrix);
  if (values.keep) await openShell(running, attached);
  return (await removeAll(attached, config, size)) && complete;
}

async function removeAll(
  attached: Attached[],
  config: string,
  size: lab.LabSize,
): Promise<boolean> {
  heading('Remove');
  await step(`${attached.length} pods deleted`, () => detachPods(attached, config));
  return await showLeftovers(attached, size);
}

process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
try {
  const begin = performance.now();
  const good = await demo();
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(
    good ? `\nThe demo took ${seconds} s.` : red('\nThe demo did not show what it should.'),
  );
  process.exit(good ? 0 : 1);
} catch (error) {
  console.error(red(error instanceof Error ? error.message : String(error)));
  if (error instanceof Error && error.cause !== undefined) console.error(dim(String(error.cause)));
  await showLogs();
  process.exit(1);
}

/** The last lines of every program's log: what a person wants to see when the demo failed. */
async function showLogs(): Promise<void> {
  for await (const path of new Bun.Glob('*.log').scan({
    cwd: stack.STATE_FOLDER,
    absolute: true,
  })) {
    const lines = (await Bun.file(path).text()).trimEnd().split('\n').slice(-5);
    console.error(dim(`${path}\n  ${lines.join('\n  ')}`));
  }
}
