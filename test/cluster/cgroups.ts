// The control groups of the cluster's nodes, on both layouts of /sys/fs/cgroup: one folder per
// controller, and unified.

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { waitFor } from './command.ts';
import { PREFIX } from './settings.ts';

const MOUNT = '/sys/fs/cgroup';

/** Path, below each controller, of the groups of a node: the kubelet's `cgroupRoot`. */
export function nodeGroup(node: string): string {
  return `/${PREFIX}/${node}`;
}

/** Makes the groups that the kubelet expects to find. */
export function makeNodeGroups(node: string): void {
  if (isUnified()) {
    makeUnified(node);
    return;
  }
  for (const controller of controllerFolders()) {
    for (const path of [PREFIX, `${PREFIX}/${node}`]) {
      const folder = join(controller, path);
      mkdirSync(folder, { recursive: true });
      // A new cpuset is empty, and a process cannot enter an empty one.
      for (const file of ['cpuset.mems', 'cpuset.cpus']) {
        if (!existsSync(join(controller, file))) continue;
        writeFileSync(join(folder, file), readFileSync(join(controller, file)));
      }
    }
  }
}

/**
 * Removes the pods' groups of a node that has stopped: left-overs cost the next kubelet seconds
 * each.
 */
export async function removePodGroups(node: string): Promise<void> {
  await removeTrees(groupFolders(`${PREFIX}/${node}/kubepods`));
}

/** Removes all groups of the cluster. */
export async function removeAllGroups(): Promise<void> {
  await removeTrees(groupFolders(PREFIX));
}

/** Groups of the cluster that exist. */
export function leftGroups(): string[] {
  return groupFolders(PREFIX);
}

function isUnified(): boolean {
  return existsSync(join(MOUNT, 'cgroup.controllers'));
}

function makeUnified(node: string): void {
  const wanted = ['cpuset', 'cpu', 'io', 'memory', 'pids', 'hugetlb'];
  let folder = MOUNT;
  for (const name of [PREFIX, node]) {
    const available = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(' ');
    const enable = wanted.filter((controller) => available.includes(controller));
    writeFileSync(join(folder, 'cgroup.subtree_control'), enable.map((c) => `+${c}`).join(' '));
    folder = join(folder, name);
    mkdirSync(folder, { recursive: true });
  }
}

function controllerFolders(): string[] {
  if (isUnified()) return [MOUNT];
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  return mounts.flatMap((line) => {
    const [, path = '', type] = line.split(' ');
    // In the hybrid layout runc makes groups in the unified mount beside the controllers too.
    const isGroups = type === 'cgroup' || type === 'cgroup2';
    return isGroups && path.startsWith(`${MOUNT}/`) ? [path] : [];
  });
}

function groupFolders(path: string): string[] {
  return controllerFolders()
    .map((controller) => join(controller, path))
    .filter((folder) => existsSync(folder));
}

/** A group can be removed only when its last process is gone, which takes a moment after a kill. */
async function removeTrees(folders: readonly string[]): Promise<void> {
  await waitFor(
    `removal of ${folders.join(', ')}`,
    () => {
      for (const folder of folders) removeTree(folder);
      return folders.every((folder) => !existsSync(folder));
    },
    { timeoutMs: 20_000 },
  );
}

function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}
