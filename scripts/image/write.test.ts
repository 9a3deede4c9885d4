// When an image is made anew, and that a container engine makes the same of the same layers.
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { type WriteOptions, writeProductImage } from '../image.ts';
import { IMAGE_ENV, packImage } from './oci.ts';
import { PRODUCT_IMAGES, productImage, programsOf } from './recipes.ts';

const scratch = mkdtempSync(join(tmpdir(), 'multi-nic-write-image-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const LOADER = '/lib64/ld-test.so';
/** Of the library and the programs, whatever their content: as a package manager sets it. */
const PACKAGED = new Date('2025-01-01T00:00:00Z');

/** A 64-bit ELF program that needs nothing but its loader. */
function smallProgram(): Uint8Array {
  const header = new Uint8Array(64 + 56);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const view = new DataView(header.buffer);
  view.setUint16(18, 62, true);
  view.setBigUint64(32, 64n, true); // program headers follow the file header
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 3, true); // PT_INTERP
  view.setBigUint64(72, 120n, true);
  return new Uint8Array([...header, ...new TextEncoder().encode(`${LOADER}\0`)]);
}

async function put(path: string, data: Uint8Array | string): Promise<void> {
  await Bun.write(path, data);
  utimesSync(path, PACKAGED, PACKAGED);
}

/** Small programs and a library, all replaceable, and an output folder. */
async function workshop() {
  const folder = mkdtempSync(join(scratch, 'w-'));
  const programPath = (name: string): string => join(folder, 'build', name);
  const libraryRoot = join(folder, 'root');
  const names = PRODUCT_IMAGES.flatMap(programsOf);
  for (const name of names) await put(programPath(name), smallProgram());
  await put(join(libraryRoot, LOADER), 'loader 1');
  mkdirSync(join(folder, 'images'));
  const output = join(folder, 'images');
  const write = (o: WriteOptions = {}) =>
    writeProductImage('daemon', { tag: '1', output, ...o }, { programPath, libraryRoot });
  return { write, programPath, libraryRoot, output };
}

describe('writing an image', () => {
  test('of the same content writes nothing', async () => {
    const { write } = await workshop();
    const { file, digest } = await write();
    const { ino } = statSync(file);
    expect((await write()).digest).toBe(digest);
    expect(statSync(file).ino).toBe(ino);
  });

  test('a library of the same size and date as before makes another image', async () => {
    const { write, libraryRoot } = await workshop();
    const { digest } = await write();
    await put(join(libraryRoot, LOADER), 'loader 2');
    expect((await write()).digest).not.toBe(digest);
  });

  test('so does a program', async () => {
    const { write, programPath } = await workshop();
    const { digest } = await write();
    await put(programPath('multi-nic'), smallProgram().with(119, 1));
    expect((await write()).digest).not.toBe(digest);
  });
});

/** Instructions of a Containerfile in their order, comments left out. */
function readContainerfile(image: string): [string, string][] {
  const path = join(import.meta.dir, `../../deploy/images/${image}.Containerfile`);
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]);
}

describe.each(PRODUCT_IMAGES.map((image) => [image] as const))('%s.Containerfile', (image) => {
  test('says what the image says of itself, and takes nothing from elsewhere', async () => {
    const { programPath, libraryRoot } = await workshop();
    const { version } = manifest;
    const content = productImage(image, { version, programPath, libraryRoot });
    const layers = content.layers.map((_, index) => `build/images/${image}.layer-${index}.tar.gz`);
    expect(readContainerfile(image)).toEqual([
      ['FROM', 'scratch'],
      ['ADD', `${layers.join(' ')} /`],
      ...Object.entries(content.labels).map(([key, value]): [string, string] => [
        'LABEL',
        `${key}="${value}"`,
      ]),
      ...IMAGE_ENV.map((entry): [string, string] => ['ENV', entry]),
      ['USER', content.user],
      ['WORKDIR', '/'],
      ['ENTRYPOINT', JSON.stringify(content.entrypoint)],
    ]);
  });
});

test('the layers that are written apart are those of the image', async () => {
  const { write, output, programPath, libraryRoot } = await workshop();
  await write();
  await write({ layers: true });
  const content = productImage('daemon', { version: '1', programPath, libraryRoot });
  const { layers } = packImage(content, 'multi-nic.local/daemon:1');
  expect(layers).toHaveLength(2);
  for (const [index, layer] of layers.entries()) {
    const written = readFileSync(join(output, `daemon.layer-${index}.tar.gz`));
    expect(written.equals(layer)).toBe(true);
  }
});
