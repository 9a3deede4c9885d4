// What goes into each image of ours. deploy/images/*.Containerfile make the same of the same layers
// with a container engine.

import { readFileSync } from 'node:fs';
import { librariesOf } from './elf.ts';
import type { ImageContent } from './oci.ts';
import type { TarEntry } from './tar.ts';

/**
 * Registry-less name under which the images are imported; whoever pushes them gives them a name of
 * their own.
 */
export const IMAGE_PREFIX = 'multi-nic.local';

/** The user that the controller runs as; it owns nothing and is in no group. */
const UNPRIVILEGED = 65532;

const PASSWD = [
  'root:x:0:0:root:/:/nonexistent',
  `multi-nic:x:${UNPRIVILEGED}:${UNPRIVILEGED}:multi-nic:/:/nonexistent`,
];
const GROUP = ['root:x:0:', `multi-nic:x:${UNPRIVILEGED}:`];

/** Names of the images of the product. */
export type ProductImage = 'controller' | 'daemon';

/** All of them, in the order in which they are made. */
export const PRODUCT_IMAGES: readonly ProductImage[] = ['controller', 'daemon'];

/** The compiled programs that an image is made of; `scripts/build.ts` makes them. */
export function programsOf(image: ProductImage): string[] {
  return image === 'controller' ? ['multi-nic-controller'] : ['multi-nicd', 'multi-nic'];
}

/** Where the parts of an image are taken from. */
export interface ImageSources {
  /** Where a compiled program lies. */
  readonly programPath: (name: string) => string;
  /** Root of the file system that has the libraries. Default: this machine's. */
  readonly libraryRoot?: string;
}

/** The libraries that the programs of an image load, as it holds them. */
export function librariesIn(image: ProductImage, o: ImageSources): Map<string, Uint8Array> {
  return librariesOf(o.programPath(mainProgram(image)), o.libraryRoot);
}

function mainProgram(image: ProductImage): string {
  return image === 'controller' ? 'multi-nic-controller' : 'multi-nicd';
}

/** The content of one image. */
export function productImage(
  image: ProductImage,
  o: ImageSources & { version: string },
): ImageContent {
  const main = mainProgram(image);
  const programs: TarEntry[] = [fileEntry(`usr/local/bin/${main}`, o.programPath(main), 0o755)];
  if (image === 'daemon') programs.push(...cniPrograms(o.programPath('multi-nic')));
  return {
    layers: [[...baseEntries(), ...libraryEntries(librariesIn(image, o))], programs],
    architecture: dockerArchitecture(),
    entrypoint: [`/usr/local/bin/${main}`],
    command: [],
    user: image === 'controller' ? `${UNPRIVILEGED}:${UNPRIVILEGED}` : '0:0',
    labels: {
      'org.opencontainers.image.title': `multi-nic ${image}`,
      'org.opencontainers.image.version': o.version,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    },
  };
}

/**
 * The CNI executable once, with its further names as links to it: they go to the host, not into a
 * process here.
 */
function cniPrograms(path: string): TarEntry[] {
  const folder = 'opt/multi-nic/bin';
  return [
    fileEntry(`${folder}/multi-nic`, path, 0o755),
    { kind: 'hardlink', path: `${folder}/multi-nic-ipam`, target: `${folder}/multi-nic` },
    { kind: 'hardlink', path: `${folder}/aws-ipvlan`, target: `${folder}/multi-nic` },
  ];
}

/**
 * What every process may expect of a root file system. Certificates are not there: the cluster's
 * own CA is mounted.
 */
export function baseEntries(): TarEntry[] {
  const folders = ['dev', 'etc', 'proc', 'run', 'sys', 'var'];
  return [
    ...folders.map((path) => ({ kind: 'directory', path, mode: 0o755 }) as const),
    { kind: 'directory', path: 'tmp', mode: 0o1777 },
    // A namespace path that starts with /var/run must be found where /run is mounted.
    { kind: 'symlink', path: 'var/run', target: '/run' },
    textEntry('etc/passwd', `${PASSWD.join('\n')}\n`),
    textEntry('etc/group', `${GROUP.join('\n')}\n`),
    textEntry('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'),
  ];
}

/** Entries for libraries as `librariesOf` returns them. */
export function libraryEntries(libraries: ReadonlyMap<string, Uint8Array>): TarEntry[] {
  return [...libraries].map(([path, data]) => ({
    kind: 'file',
    path: path.slice(1),
    mode: 0o755,
    data,
  }));
}

/** An entry with the content of the file `source`. */
export function fileEntry(path: string, source: string, mode: number): TarEntry {
  return { kind: 'file', path, mode, data: readFileSync(source) };
}

function textEntry(path: string, text: string): TarEntry {
  return { kind: 'file', path, mode: 0o644, data: new TextEncoder().encode(text) };
}

/** The processor that this runs on, in the words of image manifests. */
export function dockerArchitecture(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}
