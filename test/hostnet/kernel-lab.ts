// Test equipment: the contract suite's world around the real kernel. "The host" is a namespace of
// its own, whose NICs are veths to a switch namespace, so the machine's own network is not touched.
import type { HostNet } from '../../src/daemon/hostnet/host-net.ts';
import { NetnsWorld, type TestNetns } from '../helpers/netns.ts';
import type { HostNetLab } from './lab.ts';

/** A fresh host; `open` gives the back end under test for the namespace at a path. */
export function createKernelLab(open: (netnsPath: string) => HostNet): HostNetLab {
  const world = new NetnsWorld();
  try {
    return createLabIn(world, open);
  } catch (error) {
    world[Symbol.dispose]();
    throw error;
  }
}

function createLabIn(world: NetnsWorld, open: (netnsPath: string) => HostNet): HostNetLab {
  const host = world.addNetns('host');
  const wire = world.addNetns('wire');
  const pods = new Map<string, TestNetns>();
  const hostNet = open(host.path);
  const ip = (...args: string[]): string => world.ip(host, args);
  const podOf = (path: string): TestNetns => pods.get(path) ?? { name: '', path };
  return {
    hostNet,
    hostPath: host.path,
    ordinaryPath: import.meta.path,
    addNic: ({ name, mtu, addresses = [] }) => {
      const options = mtu === undefined ? {} : { mtu };
      world.addVeth({ netns: host, name }, { netns: wire, name }, options);
      addAddresses(world, host, name, addresses);
    },
    setNicDown: (name) => void ip('link', 'set', name, 'down'),
    flapNic: (name) => world.ipBatch(host, [`link set ${name} down`, `link set ${name} up`]),
    flapNicAddresses: (name) => {
      const link = hostNet.links().find((candidate) => candidate.name === name);
      const texts = (link?.addresses ?? [])
        .filter(({ family }) => family === 4)
        .map(({ address, prefix }) => `${address}/${prefix} dev ${name}`);
      world.ipBatch(
        host,
        ['del', 'add'].flatMap((verb) => texts.map((text) => `address ${verb} ${text}`)),
      );
    },
    addNicAddress: (name, address) => addAddresses(world, host, name, [address]),
    removeNic: (name) => void ip('link', 'del', name),
    addForeignRoute: ({ destination, via, interfaceName }) => {
      ip('route', 'add', destination, 'via', via, 'dev', interfaceName, 'proto', 'static');
    },
    addDefaultRoute: ({ via, interfaceName, metric }) => {
      const route = ['default', 'via', via, 'dev', interfaceName, 'metric', String(metric)];
      ip(via.includes(':') ? '-6' : '-4', 'route', 'add', ...route);
    },
    addNetns: (name) => {
      const netns = world.addNetns(`pod-${name}`);
      pods.set(netns.path, netns);
      return netns.path;
    },
    removeNetns: (path) => world.removeNetns(podOf(path)),
    addPodLink: (path, name) => {
      const far = { netns: wire, name: `far${pods.size}-${name}` };
      world.addVeth({ netns: podOf(path), name }, far);
    },
    addForeignSlave: (path, { name, nic, link }) => {
      const slave = ['name', `tmp${name}`, 'netns', path, 'type', link.kind, 'mode', link.mode];
      ip('link', 'add', 'link', nic, ...slave);
      world.ip(podOf(path), ['link', 'set', `tmp${name}`, 'name', name]);
    },
    [Symbol.dispose]: () => {
      hostNet[Symbol.dispose]();
      world[Symbol.dispose]();
    },
  };
}

/** IPv6 without duplicate detection, so that the address can be used at once. */
function addAddresses(
  world: NetnsWorld,
  host: TestNetns,
  name: string,
  addresses: readonly string[],
): void {
  const lines = addresses.map((address) => {
    const options = address.includes(':') ? ' nodad' : '';
    return `address add ${address} dev ${name}${options}`;
  });
  world.ipBatch(host, lines);
}
