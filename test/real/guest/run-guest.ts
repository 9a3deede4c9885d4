// Runs a shell script in a virtual machine with a distribution kernel, for kernel features that
// this machine's kernel lacks. The script sees the machine's own files, read-only with a layer in
// memory. The processor is emulated: behaviour can be tested there, speed cannot.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type ArchiveEntry, writeCpio } from './cpio.ts';
import { findGuestKernel, GUEST_PACKAGES, type GuestKernel, listModuleFiles } from './kernel.ts';

/** A NIC of the guest. It is plugged into nothing, but has the identity of its model. */
export interface GuestNic {
  readonly model: 'e1000e' | 'vmxnet3' | 'virtio-net-pci';
  readonly numaNode: 0 | 1;
}

/** What became of a guest: the script's exit status and everything it printed. */
export interface GuestResult {
  readonly exitCode: number;
  readonly output: string;
}

const EMULATOR = 'qemu-system-x86_64';
/** The last line that the guest prints; a console ends its lines with a carriage return as well. */
const EXIT_LINE = /^guest-exit: (\d+)\r?\n/m;
const busyboxPaths = ['/bin/busybox', '/usr/bin/busybox'];

/** Why this machine cannot run a guest, with the command that would help; undefined if it can. */
export function guestObstacle(): string | undefined {
  if (process.arch !== 'x64') return 'the guest is made for x86-64';
  const missing = [
    Bun.which(EMULATOR) === null && EMULATOR,
    findGuestKernel() === undefined && 'a readable kernel in /boot with its modules',
    findBusybox() === undefined && 'busybox',
  ].filter((what) => what !== false);
  if (missing.length === 0) return undefined;
  return `missing: ${missing.join(', ')} (apt-get install ${GUEST_PACKAGES.join(' ')})`;
}

/**
 * Boots a machine with two processors on two NUMA nodes and the given NICs, runs `script` with sh,
 * powers off. Throws if the guest does not get to the script's end
 * within `timeoutMs`; the error carries what was on the console.
 */
export async function runGuest(o: {
  script: string;
  timeoutMs: number;
  nics?: readonly GuestNic[];
}): Promise<GuestResult> {
  const kernel = findGuestKernel();
  if (kernel === undefined) throw new Error('no kernel for the guest');
  const folder = mkdtempSync(join(tmpdir(), 'mnh-guest-'));
  try {
    const initramfs = join(folder, 'initramfs');
    writeFileSync(initramfs, Bun.gzipSync(new Uint8Array(buildArchive(kernel, o.script))));
    const { timeoutMs, nics = [] } = o;
    const log = await runEmulator({ kernel, initramfs, timeoutMs, nics });
    return readLog(log);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function findBusybox(): string | undefined {
  return busyboxPaths.find((path) => existsSync(path));
}

function buildArchive(kernel: GuestKernel, script: string): Uint8Array {
  const modules = listModuleFiles(kernel);
  const file = (name: string, content: string | Uint8Array, mode = 0o644): ArchiveEntry => ({
    name,
    mode,
    content: typeof content === 'string' ? Buffer.from(content) : content,
  });
  return writeCpio([
    { name: 'bin', mode: 0o755 },
    { name: 'modules', mode: 0o755 },
    file('bin/busybox', readFileSync(findBusybox() ?? ''), 0o755),
    file('init', readFileSync(join(import.meta.dir, 'init.sh')), 0o755),
    file('job', script),
    file('modules/order', `${modules.map((path) => basename(path)).join('\n')}\n`),
    ...modules.map((path) => file(`modules/${basename(path)}`, readFileSync(path))),
  ]);
}

async function runEmulator(o: {
  kernel: GuestKernel;
  initramfs: string;
  timeoutMs: number;
  nics: readonly GuestNic[];
}): Promise<string> {
  const files = 'local,id=root,path=/,security_model=none,multidevs=remap,readonly=on';
  const command = [
    ...[EMULATOR, '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...numaNodes(),
    ...o.nics.flatMap(plugNic),
    ...['-nographic', '-no-reboot', '-nic', 'none', '-kernel', o.kernel.image],
    ...['-initrd', o.initramfs, '-fsdev', files],
    ...['-device', 'virtio-9p-pci,fsdev=root,mount_tag=root,bus=pcie.0'],
    ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off nokaslr'],
  ];
  const child = Bun.spawn(command, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: o.timeoutMs,
    killSignal: 'SIGKILL',
  });
  // A guest that has said all may still hang on its way to power off.
  const read = async (): Promise<string> => {
    const decoder = new TextDecoder();
    let log = '';
    for await (const bytes of child.stdout) {
      log += decoder.decode(bytes, { stream: true });
      if (EXIT_LINE.test(log)) child.kill('SIGKILL');
    }
    return log;
  };
  const [log, problems] = await Promise.all([read(), new Response(child.stderr).text()]);
  await child.exited;
  return `${log}\n${problems}`;
}

/** One processor, half of the memory and one PCI host bridge per node. */
function numaNodes(): string[] {
  return ['-smp', '2,sockets=2', '-m', '1536'].concat(
    [0, 1].flatMap((node) => [
      ...['-object', `memory-backend-ram,id=memory${node},size=768M`],
      ...['-numa', `node,nodeid=${node},cpus=${node},memdev=memory${node}`],
      '-device',
      `pxb-pcie,id=bridge${node},bus_nr=${32 * (node + 1)},bus=pcie.0,numa_node=${node}`,
    ]),
  );
}

/** A NIC behind a port of its own on the bridge of its node. */
function plugNic({ model, numaNode }: GuestNic, n: number): string[] {
  return [
    ...['-device', `pcie-root-port,id=port${n},bus=bridge${numaNode},chassis=${n + 1},slot=${n}`],
    ...['-netdev', `hubport,id=wire${n},hubid=${n}`],
    ...['-device', `${model},netdev=wire${n},bus=port${n}`],
  ];
}

function readLog(log: string): GuestResult {
  const text = log.replaceAll('\r', '');
  const end = EXIT_LINE.exec(text);
  const start = text.indexOf('guest-start\n');
  if (end === null || start < 0) {
    throw new Error(`the guest did not run its script to the end:\n${text.slice(-8_000)}`);
  }
  const output = text.slice(start + 'guest-start\n'.length, end.index);
  return { exitCode: Number(end[1]), output };
}
