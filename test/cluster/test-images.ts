// The two images that the test itself needs, made of this machine's busybox: for sandboxes, and for
// pods that ping.

import { join } from 'node:path';
import { librariesOf, readElf } from '../../scripts/image/elf.ts';
import { type ImageContent, packImage } from '../../scripts/image/oci.ts';
import {
  baseEntries,
  dockerArchitecture,
  fileEntry,
  libraryEntries,
} from '../../scripts/image/recipes.ts';
import { PAUSE_IMAGE, POD_IMAGE, STATE } from './settings.ts';

const APPLETS = ['sh', 'cat', 'env', 'hostname', 'httpd', 'id', 'ip', 'ls', 'mkdir', 'nc', 'ping'];
const MORE_APPLETS = ['ping6', 'ps', 'sleep', 'touch', 'wget', 'arping', 'grep', 'sort', 'true'];

/** Files that `writeTestImages` writes. */
export const TEST_IMAGES: readonly string[] = ['pause', 'pod'].map((name) =>
  join(STATE, `images/${name}.tar`),
);

/** Writes both images as OCI layout tars. */
export async function writeTestImages(): Promise<void> {
  const busybox = Bun.which('busybox');
  if (busybox === null) throw new Error('busybox is not installed');
  const layer = [
    ...baseEntries(),
    fileEntry('bin/busybox', busybox, 0o755),
    ...(readElf(await Bun.file(busybox).bytes())?.interpreter === undefined
      ? []
      : libraryEntries(librariesOf(busybox))),
    ...[...APPLETS, ...MORE_APPLETS].map(
      (name) => ({ kind: 'symlink', path: `bin/${name}`, target: 'busybox' }) as const,
    ),
  ];
  const image = (entrypoint: string[], command: string[]): ImageContent => ({
    layers: [layer],
    architecture: dockerArchitecture(),
    entrypoint,
    command,
    user: '0:0',
    labels: {},
  });
  // The sandbox's process only has to be there; its end comes by SIGKILL.
  const pause = packImage(image(['/bin/busybox', 'sleep', '2147483647'], []), PAUSE_IMAGE);
  const pod = packImage(image([], ['/bin/sh']), POD_IMAGE);
  const [pauseFile = '', podFile = ''] = TEST_IMAGES;
  await Bun.write(pauseFile, pause.tar);
  await Bun.write(podFile, pod.tar);
}
