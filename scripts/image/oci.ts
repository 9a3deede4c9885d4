// Turns the files of an image into an OCI image layout in one tar (image-spec, "OCI Image Layout"):
// the form that `ctr images import`, `skopeo copy oci-archive:` and their like read. The same input
// gives the same bytes.

import { parentsOf, type TarEntry, writeTar } from './tar.ts';

/** An image before it is packed: one list of entries per layer, lowest first. */
export interface ImageContent {
  readonly layers: readonly (readonly TarEntry[])[];
  /** `docker` word for the processor: amd64 or arm64. */
  readonly architecture: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** `uid:gid`. */
  readonly user: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A packed image. */
export interface PackedImage {
  readonly tar: Uint8Array;
  /** Digest of the manifest, `sha256:…`: what a registry shows and what a pull by digest names. */
  readonly digest: string;
  /** Each as a compressed tar, lowest first. */
  readonly layers: readonly Uint8Array[];
}

/** The environment of every process in our images. */
export const IMAGE_ENV: readonly string[] = ['PATH=/usr/local/bin:/usr/bin:/bin'];

interface Blob {
  readonly digest: string;
  readonly data: Uint8Array;
}

/** Packs `content` under the full name `reference` (`host/path:tag`). */
export function packImage(content: ImageContent, reference: string): PackedImage {
  const layers = content.layers.map((entries) => packLayer(withParents(entries)));
  const config = jsonBlob({
    created: '1970-01-01T00:00:00Z',
    architecture: content.architecture,
    os: 'linux',
    config: {
      User: content.user,
      Env: IMAGE_ENV,
      Entrypoint: content.entrypoint,
      Cmd: content.command,
      WorkingDir: '/',
      Labels: content.labels,
    },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
  });
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: describe('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map((layer) =>
      describe('application/vnd.oci.image.layer.v1.tar+gzip', layer.blob),
    ),
  });
  const index = jsonBlob({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...describe('application/vnd.oci.image.manifest.v1+json', manifest),
        platform: { architecture: content.architecture, os: 'linux' },
        annotations: {
          // containerd names the image after the first, everyone else selects by the second.
          'io.containerd.image.name': reference,
          'org.opencontainers.image.ref.name': reference.slice(reference.lastIndexOf(':') + 1),
        },
      },
    ],
  });
  const blobs = [...layers.map((layer) => layer.blob), config, manifest];
  const files = new Map(blobs.map((blob) => [blobPath(blob), blob.data]));
  files.set('index.json', index.data);
  files.set('oci-layout', new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}'));
  const entries = [...files].map(
    ([path, data]) => ({ kind: 'file', path, mode: 0o644, data }) as const,
  );
  return {
    tar: writeTar(withParents(entries)),
    digest: manifest.digest,
    layers: layers.map(({ blob }) => blob.data),
  };
}

/** Adds the directories that the entries lie in and that nobody named. */
function withParents(entries: readonly TarEntry[]): TarEntry[] {
  const named = new Set(entries.map((entry) => entry.path));
  const missing = new Set(entries.flatMap((entry) => parentsOf(entry.path)));
  const added = [...missing].filter((path) => !named.has(path));
  return [...entries, ...added.map((path) => ({ kind: 'directory', path, mode: 0o755 }) as const)];
}

/** libdeflate writes no time and no name into the gzip header. */
function packLayer(entries: readonly TarEntry[]): { diffId: string; blob: Blob } {
  const tar = writeTar(entries);
  const data = Bun.gzipSync(new Uint8Array(tar), { library: 'libdeflate', level: 6 });
  return { diffId: digestOf(tar), blob: { digest: digestOf(data), data } };
}

function jsonBlob(value: unknown): Blob {
  const data = new TextEncoder().encode(JSON.stringify(value));
  return { digest: digestOf(data), data };
}

function describe(
  mediaType: string,
  blob: Blob,
): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: blob.digest, size: blob.data.length };
}

function blobPath(blob: Blob): string {
  return `blobs/${blob.digest.replace(':', '/')}`;
}

function digestOf(data: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(data).digest('hex')}`;
}
