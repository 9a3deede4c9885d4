// The demo's hardware: hosts as network namespaces, one bridge per rail, one NIC per host and rail, a management
// network for the API server, and pods as further namespaces. Everything dies with the demo's own namespaces.
import { mkdirSync } from 'node:fs';

/** How large the demo is. */
export interface LabSize {
  hosts: number;
  nics: number;
  podsPerHost: number;
}

export interface Pod {
  host: string;
  name: string;
  uid: string;
  containerId: string;
  netns: string;
}

export const MANAGEMENT_ADDRESS = '10.99.0.1';
const NETNS_FOLDER = '/run/netns';

export const hostName = (host: number): string => `host-${host + 1}`;
export const nicName = (nic: number): string => `eth${nic + 1}`;
const hostAddress = (host: number, rail: number): string => `10.${rail + 1}.0.${10 + host}`;
export const hostNetns = (host: string): string => `${NETNS_FOLDER}/${host}`;

/** Runs a program to its end; a failure is an error with its own words. Returns its standard output. */
export async function run(command: string[], input?: string): Promise<string> {
  const child = Bun.spawn(command, {
    stdin: input === undefined ? 'ignore' : new TextEncoder().encode(input),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(' ')} failed: ${(errors || output).trim()}`);
  return output;
}

const batch = (lines: string[], netns?: string): Promise<string> => {
  const where = netns === undefined ? [] : ['-n', netns];
  return run(['ip', ...where, '-batch', '-'], `${lines.join('\n')}\n`);
};

/** Private mounts, so that nothing of the machine is seen or changed: /run is empty and the demo's own. */
export async function privateMounts(): Promise<void> {
  await run(['mount', '--make-rprivate', '/']);
  await run(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run']);
  mkdirSync(NETNS_FOLDER, { recursive: true });
}

/** Bridges and hosts. Host H has NIC R with address 10.(R+1).0.(10+H)/24 on rail R. */
export async function buildHosts(size: LabSize): Promise<void> {
  const rails = Array.from({ length: size.nics }, (_, rail) => rail);
  await batch([
    'link set lo up',
    'link add management type bridge',
    `addr add ${MANAGEMENT_ADDRESS}/24 dev management`,
    'link set management up',
    ...rails.flatMap((rail) => [`link add rail${rail} type bridge`, `link set rail${rail} up`]),
  ]);
  for (let host = 0; host < size.hosts; host += 1) await buildHost(host, rails);
}

async function buildHost(host: number, rails: number[]): Promise<void> {
  const name = hostName(host);
  await run(['ip', 'netns', 'add', name]);
  await batch([
    `link add m${host} type veth peer name eth0 netns ${name}`,
    `link set m${host} master management up`,
    ...rails.flatMap((rail) => [
      `link add h${host}r${rail} type veth peer name ${nicName(rail)} netns ${name}`,
      `link set h${host}r${rail} master rail${rail} up`,
    ]),
  ]);
  await batch(
    [
      'link set lo up',
      `addr add 10.99.0.${10 + host}/24 dev eth0`,
      'link set eth0 up',
      `route add default via ${MANAGEMENT_ADDRESS}`,
      ...rails.flatMap((rail) => [
        `addr add ${hostAddress(host, rail)}/24 dev ${nicName(rail)}`,
        `link set ${nicName(rail)} up`,
      ]),
    ],
    name,
  );
  await run(['nsenter', `--net=${hostNetns(name)}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
}

/** The NICs that hosts have on one rail. */
export function hostsOnRail(size: LabSize, rail: number) {
  return Array.from({ length: size.hosts }, (_, host) => ({
    netns: hostNetns(hostName(host)),
    nicName: nicName(rail),
    address: hostAddress(host, rail),
  }));
}

/** A pod as a runtime prepares it: an empty network namespace with a sandbox ID. */
export async function buildPod(host: string, ordinal: number): Promise<Pod> {
  const name = `pod-${host.split('-')[1]}${String.fromCharCode(97 + ordinal)}`;
  await run(['ip', 'netns', 'add', name]);
  await batch(['link set lo up'], name);
  return {
    host,
    name,
    uid: crypto.randomUUID(),
    containerId: crypto.randomUUID().replaceAll('-', ''),
    netns: `${NETNS_FOLDER}/${name}`,
  };
}

/** ipvlan where the kernel has it, else macvlan. Tried on a throw-away link, because no list can be trusted. */
export async function linkKind(): Promise<'ipvlan' | 'macvlan'> {
  const host = hostName(0);
  try {
    await batch([`link add try0 link ${nicName(0)} type ipvlan mode l3`, 'link del try0'], host);
    return 'ipvlan';
  } catch {
    return 'macvlan';
  }
}

/** Interfaces in a pod besides loopback, by name. */
export async function interfacesIn(pod: Pod): Promise<string[]> {
  const output = await run(['ip', '-n', pod.name, '-json', 'link', 'show']);
  const links: unknown = JSON.parse(output);
  if (!Array.isArray(links)) throw new Error('ip did not print a list of links');
  return links.map((link: { ifname: string }) => link.ifname).filter((name) => name !== 'lo');
}
