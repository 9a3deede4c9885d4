// What sysfs says about the hardware behind a network interface. Reads the files of the device
// itself; no database of PCI ids is needed for numbers.
import { readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** The device behind an interface. Ids are lower-case hexadecimal without `0x`, '' if unknown. */
export interface NicDevice {
  /** `dddd:bb:dd.f`, '' if the device is on another bus. */
  readonly pciAddress: string;
  readonly vendor: string;
  readonly product: string;
  /** Six digits of the PCI class (02xxxx: network controller), '' on other buses. */
  readonly pciClass: string;
}

const pciAddressPattern = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

/**
 * The device behind an interface of the namespace that `sysRoot` shows, or undefined if there is
 * none: the interface is virtual, or sysfs belongs to another namespace.
 */
export function readNicDevice(sysRoot: string, interfaceName: string): NicDevice | undefined {
  const device = resolve(join(sysRoot, 'class/net', interfaceName, 'device'));
  if (device === undefined) return undefined;
  // A virtio NIC is a device on the virtio bus; the PCI function is one level up.
  const candidates = basename(device).startsWith('virtio') ? [dirname(device)] : [device];
  const pci = candidates.find((path) => pciAddressPattern.test(basename(path)));
  const source = pci ?? device;
  return {
    pciAddress: pci === undefined ? '' : basename(pci),
    vendor: readHex(join(source, 'vendor')),
    product: readHex(join(source, 'device')),
    pciClass: pci === undefined ? '' : readHex(join(pci, 'class')),
  };
}

function resolve(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Content of a file like "0x8086", without the prefix; '' if there is no such file. */
function readHex(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().replace(/^0x/, '').toLowerCase();
  } catch (error) {
    if (isAbsent(error)) return '';
    throw error;
  }
}

/** A device can go at any moment; EINVAL is what attributes of a vanishing one give. */
function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return ['ENOENT', 'ENOTDIR', 'ENODEV', 'EINVAL', 'EISDIR'].includes(String(code));
}
