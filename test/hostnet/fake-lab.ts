// Test equipment: the contract suite's world around the in-memory host.
import { FakeHostNet, OWN_PATH } from './fake-host-net.ts';
import type { HostNetLab } from './lab.ts';

/** A fresh in-memory host. */
export function createFakeLab(): HostNetLab {
  const hostNet = new FakeHostNet();
  const indexOf = (name: string): number =>
    hostNet.links().find((link) => link.name === name)?.index ?? 0;
  const addressTexts = (name: string): string[] => {
    const addresses = hostNet.links().find((link) => link.name === name)?.addresses ?? [];
    return addresses.map((a) => `${a.address}/${a.prefix}`);
  };
  const ordinaryPath = '/fake/ordinary-file';
  hostNet.addInvalidNetns(ordinaryPath);
  return {
    hostNet,
    hostPath: OWN_PATH,
    ordinaryPath,
    addNic: (nic) => void hostNet.addLink(nic),
    setNicDown: (name) => hostNet.changeLink(name, { up: false, running: false }),
    flapNic: (name) => {
      hostNet.changeLink(name, { up: false, running: false });
      hostNet.changeLink(name, { up: true, running: true });
    },
    flapNicAddresses: (name) => {
      const texts = addressTexts(name);
      hostNet.changeLink(name, { addresses: texts.filter((text) => text.includes(':')) });
      hostNet.changeLink(name, { addresses: texts });
    },
    addNicAddress: (name, address) => {
      hostNet.changeLink(name, { addresses: [...addressTexts(name), address] });
    },
    removeNic: (name) => hostNet.removeLink(name),
    addForeignRoute: ({ destination, via, interfaceName }) => {
      const interfaceIndex = indexOf(interfaceName);
      hostNet.addForeignRoute({ destination, via, interfaceIndex, table: 254, protocol: 4 });
    },
    addDefaultRoute: ({ via, interfaceName, metric }) => {
      const family = via.includes(':') ? 6 : 4;
      hostNet.addDefaultRoute(indexOf(interfaceName), { family, metric });
    },
    addNetns: (name) => {
      const path = `/fake/netns/${name}`;
      hostNet.addNetns(path);
      return path;
    },
    removeNetns: (path) => hostNet.removeNetns(path),
    addPodLink: (path, name) => hostNet.addPodLink(path, { name }),
    addForeignSlave: (path, { name, nic, link }) =>
      hostNet.addPodLink(path, { ...link, name, parentIndex: indexOf(nic) }),
    [Symbol.dispose]: () => hostNet[Symbol.dispose](),
  };
}
