// The distribution kernel that the guest boots: where its image is, and which module files it
// needs in which order.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A kernel image with its modules on this machine. */
export interface GuestKernel {
  readonly version: string;
  readonly image: string;
  readonly moduleFolder: string;
}

/** Debian's names of what the guest needs. */
export const GUEST_PACKAGES = ['qemu-system-x86', 'linux-image-amd64', 'busybox-static'];

/** What the guest uses; what these depend on is found in the kernel's own list. */
const wantedModules = [
  'virtio_pci',
  '9pnet_virtio',
  '9p',
  'overlay',
  'veth',
  'bridge',
  'macvlan',
  'ipvlan',
  'dummy',
  '8021q',
  'bonding',
  'e1000e',
  'vmxnet3',
  'virtio_net',
];

/** The newest kernel whose image can be read and whose modules are there, or undefined. */
export function findGuestKernel(): GuestKernel | undefined {
  const images = existsSync('/boot') ? readdirSync('/boot') : [];
  const versions = images
    .filter((name) => name.startsWith('vmlinuz-'))
    .map((name) => name.slice('vmlinuz-'.length))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  for (const version of versions) {
    const image = join('/boot', `vmlinuz-${version}`);
    const moduleFolder = join('/lib/modules', version);
    if (canRead(image) && existsSync(join(moduleFolder, 'modules.dep'))) {
      return { version, image, moduleFolder };
    }
  }
  return undefined;
}

/**
 * The module files to load, each after those it depends on. A module that the kernel has built in
 * is left out; one that it lacks is an error.
 */
export function listModuleFiles({ moduleFolder }: GuestKernel): string[] {
  const lines = readFileSync(join(moduleFolder, 'modules.dep'), 'utf8').split('\n');
  const dependencies = new Map(
    lines.map((line) => {
      const [path = '', rest = ''] = line.split(':');
      return [moduleName(path), { path, needs: rest.split(' ').filter((text) => text !== '') }];
    }),
  );
  const builtin = readFileSync(join(moduleFolder, 'modules.builtin'), 'utf8').split('\n');
  const builtinNames = new Set(builtin.map(moduleName));
  const ordered = new Set<string>();
  const visit = (name: string): void => {
    const entry = dependencies.get(name);
    if (entry === undefined) {
      if (builtinNames.has(name)) return;
      throw new Error(`the kernel in ${moduleFolder} has no module ${name}`);
    }
    if (ordered.has(entry.path)) return;
    for (const path of entry.needs) visit(moduleName(path));
    ordered.add(entry.path);
  };
  for (const name of wantedModules) visit(name);
  return [...ordered].map((path) => join(moduleFolder, path));
}

/** `kernel/net/9p/9pnet.ko.xz` is the module `9pnet`; `-` and `_` are the same in names. */
function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

function canRead(path: string): boolean {
  try {
    readFileSync(path, { flag: 'r' });
    return true;
  } catch {
    return false;
  }
}
