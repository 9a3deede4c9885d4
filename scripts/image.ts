// Makes the images of the controller and the daemon without a container engine:
//   bun scripts/image.ts [controller] [daemon] [--tag=2.0.0] [--output=build/images]
//     [--prefix=multi-nic.local]
// One OCI image layout per image, in one tar: import it with `ctr -n k8s.io images import FILE`, or
// push it with `skopeo copy oci-archive:FILE:TAG docker://…`. The same programs and libraries give
// the same digest.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { programPath } from './build.ts';
import { packImage } from './image/oci.ts';
import {
  IMAGE_PREFIX,
  PRODUCT_IMAGES,
  type ProductImage,
  productImage,
  programsOf,
} from './image/recipes.ts';

const ROOT = dirname(import.meta.dir);

/** A written image. */
export interface WrittenImage {
  readonly file: string;
  /** `host/path:tag`. */
  readonly reference: string;
  readonly digest: string;
  readonly sizeBytes: number;
}

/**
 * Packs the image from the programs in build/ and writes it to `<output>/<image>.tar`, replacing it
 * at once. Nothing is done if that file was made of the same programs under the same name, which a
 * file beside it says.
 */
export async function writeProductImage(
  image: ProductImage,
  o: { tag?: string; output?: string; prefix?: string } = {},
): Promise<WrittenImage> {
  const tag = o.tag ?? packageVersion();
  const reference = `${o.prefix ?? IMAGE_PREFIX}/${image}:${tag}`;
  const folder = o.output ?? join(ROOT, 'build/images');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${image}.tar`);
  const inputs = describeInputs(image);
  const earlier = readRecord(`${file}.json`);
  if (existsSync(file) && earlier?.inputs === inputs && earlier.reference === reference) {
    return { file, reference, digest: earlier.digest, sizeBytes: statSync(file).size };
  }
  rmSync(`${file}.json`, { force: true });
  const packed = packImage(productImage(image, { version: tag, programPath }), reference);
  await Bun.write(`${file}.partial`, packed.tar);
  renameSync(`${file}.partial`, file);
  await Bun.write(`${file}.json`, JSON.stringify({ inputs, reference, digest: packed.digest }));
  return { file, reference, digest: packed.digest, sizeBytes: packed.tar.length };
}

/** Size and time of everything that decides the content. */
function describeInputs(image: ProductImage): string {
  const scripts = ['elf', 'oci', 'recipes', 'tar'].map((name) =>
    join(ROOT, `scripts/image/${name}.ts`),
  );
  return [...programsOf(image).map(programPath), ...scripts]
    .map((path) => [path, statSync(path).size, statSync(path).mtimeMs].join(' '))
    .join('\n');
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
    options: { tag: text, output: text, prefix: text },
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
  return 0;
}

if (import.meta.main) process.exit(await main());
