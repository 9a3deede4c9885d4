// Makes the images of the controller and the daemon without a container engine:
//   bun scripts/image.ts [controller] [daemon] [--tag=2.0.0] [--output=build/images]
//     [--prefix=multi-nic.local] [--layers]
// One OCI image layout per image, in one tar: import it with `ctr -n k8s.io images import FILE`, or
// push it with `skopeo copy oci-archive:FILE:TAG docker://…`. The same programs and libraries give
// the same digest. With --layers also the layers apart, which deploy/images/*.Containerfile take.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { programPath } from './build.ts';
import { packImage } from './image/oci.ts';
import {
  dockerArchitecture,
  IMAGE_PREFIX,
  type ImageSources,
  librariesIn,
  PRODUCT_IMAGES,
  type ProductImage,
  productImage,
  programsOf,
} from './image/recipes.ts';

const ROOT = dirname(import.meta.dir);
/** What deploy/30-controller.yaml selects nodes by. */
const MANIFESTS_ARCHITECTURE = 'amd64';

/** A written image. */
export interface WrittenImage {
  readonly file: string;
  /** `host/path:tag`. */
  readonly reference: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

export interface WriteOptions {
  readonly tag?: string;
  readonly output?: string;
  readonly prefix?: string;
  /** Write `<output>/<image>.layer-N.tar.gz` too. */
  readonly layers?: boolean;
}

/**
 * Packs the image and writes it to `<output>/<image>.tar`, replacing it at once. Nothing is done if
 * that file was made of the same content under the same name, which a file beside it says. The
 * programs are those in build/ unless told otherwise.
 */
export async function writeProductImage(
  image: ProductImage,
  o: WriteOptions = {},
  sources: ImageSources = { programPath },
): Promise<WrittenImage> {
  const tag = o.tag ?? packageVersion();
  const reference = `${o.prefix ?? IMAGE_PREFIX}/${image}:${tag}`;
  const folder = o.output ?? join(ROOT, 'build/images');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${image}.tar`);
  const inputs = digestInputs(image, sources);
  const earlier = readRecord(`${file}.json`);
  const isMade = existsSync(file) && earlier?.inputs === inputs && earlier.reference === reference;
  if (isMade && o.layers !== true) {
    return { file, reference, digest: earlier.digest, sizeBytes: statSync(file).size };
  }
  rmSync(`${file}.json`, { force: true });
  const packed = packImage(productImage(image, { ...sources, version: tag }), reference);
  await Bun.write(`${file}.partial`, packed.tar);
  renameSync(`${file}.partial`, file);
  for (const [index, layer] of (o.layers === true ? packed.layers : []).entries()) {
    await Bun.write(join(folder, `${image}.layer-${index}.tar.gz`), layer);
  }
  await Bun.write(`${file}.json`, JSON.stringify({ inputs, reference, digest: packed.digest }));
  return { file, reference, digest: packed.digest, sizeBytes: packed.tar.length };
}

/**
 * One digest of everything that decides the content: programs, the libraries that they load, these
 * scripts, and the Bun that compresses. Times say nothing: a package manager keeps those of its
 * files.
 */
function digestInputs(image: ProductImage, sources: ImageSources): string {
  const hasher = new Bun.CryptoHasher('sha256').update(Bun.version_with_sha);
  const add = (name: string, data: Uint8Array): void => {
    hasher.update(`\n${name} ${data.length}\n`).update(data);
  };
  for (const name of programsOf(image)) add(name, readFileSync(sources.programPath(name)));
  for (const [path, data] of librariesIn(image, sources)) add(path, data);
  for (const name of ['image', 'image/elf', 'image/oci', 'image/recipes', 'image/tar']) {
    add(name, readFileSync(join(ROOT, `scripts/${name}.ts`)));
  }
  return hasher.digest('hex');
}

function readRecord(
  path: string,
): { inputs: string; reference: string; digest: string } | undefined {
  if (!existsSync(path)) return undefined;
  const record: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (typeof record !== 'object' || record === null) return undefined;
  const text = (key: string): string => String(Reflect.get(record, key));
  return { inputs: text('inputs'), reference: text('reference'), digest: text('digest') };
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    return String(manifest.version);
  }
  throw new Error('package.json has no version');
}

function isProductImage(name: string): name is ProductImage {
  return PRODUCT_IMAGES.some((image) => image === name);
}

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    options: { tag: text, output: text, prefix: text, layers: { type: 'boolean' } },
    allowPositionals: true,
  });
  const unknown = positionals.filter((name) => !isProductImage(name));
  if (unknown.length > 0) {
    console.error(`unknown image ${unknown.join(', ')}; known are ${PRODUCT_IMAGES.join(', ')}`);
    return 2;
  }
  const asked = positionals.filter(isProductImage);
  for (const image of asked.length > 0 ? asked : PRODUCT_IMAGES) {
    const written = await writeProductImage(image, values);
    const size = (written.sizeBytes / 2 ** 20).toFixed(0);
    console.log(`${written.reference}  ${written.digest}  ${size} MiB  ${written.file}`);
  }
  const architecture = dockerArchitecture();
  if (architecture !== MANIFESTS_ARCHITECTURE) {
    console.log(
      `made for ${architecture}: say so in deploy/30-controller.yaml, kubernetes.io/arch`,
    );
  }
  return 0;
}

if (import.meta.main) process.exit(await main());
