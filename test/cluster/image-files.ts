// What is inside an image that is a tar with an OCI layout, read by the tar of this machine.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listAt, textAt } from './api.ts';
import { run } from './command.ts';

/** Paths of everything but folders, of all layers, sorted. */
export async function imageFiles(file: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'multi-nic-image-'));
  try {
    await run(['tar', '-xf', file, '-C', folder]);
    const read = (path: string): unknown => JSON.parse(readFileSync(join(folder, path), 'utf8'));
    const blob = (descriptor: unknown): string =>
      `blobs/${textAt(descriptor, 'digest').replace(':', '/')}`;
    const [manifest] = listAt(read('index.json'), 'manifests');
    const layers = listAt(read(blob(manifest)), 'layers');
    const lists = layers.map((layer) => run(['tar', '-tf', join(folder, blob(layer))]));
    const paths = (await Promise.all(lists)).flatMap((list) => list.trimEnd().split('\n'));
    return paths.filter((path) => !path.endsWith('/')).sort();
  } finally {
    rmSync(folder, { recursive: true });
  }
}
