// Network namespaces for tests that use the real kernel: made under a private directory, wired
// with veths and bridges, and all removed again by `using`. Needs `ip`, `nsenter`, `unshare`,
// `umount` and `ping`, and either root or a user namespace with its own mount namespace
// (`unshare -Urnm`).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

/** One namespace of a test. */
export interface TestNetns {
  readonly name: string;
  /** A file that leads to the namespace, as a container runtime would give it. */
  readonly path: string;
}

/** Where one end of a veth goes. */
export interface VethEnd {
  readonly netns: TestNetns;
  readonly name: string;
}

const TOOL_TIMEOUT_MS = 10_000;

/** Why this machine cannot run tests with namespaces, or undefined if it can. */
export function netnsObstacle(): string | undefined {
  const missing = ['ip', 'nsenter', 'unshare', 'umount'].filter((tool) => Bun.which(tool) === null);
  if (Bun.which('ping') === null && Bun.which('busybox') === null) missing.push('ping');
  if (missing.length > 0) return `missing: ${missing.join(', ')}`;
  try {
    using world = new NetnsWorld();
    const netns = world.addNetns('probe');
    world.ip(netns, ['link', 'set', 'lo', 'up']);
    return undefined;
  } catch (error) {
    return `no permission to make network namespaces: ${String(error)}`;
  }
}

/** A set of namespaces with a prefix of its own. Disposing removes all of them and their links. */
export class NetnsWorld implements Disposable {
  /** Unique on this machine; first part of every name that other programs could see. */
  readonly prefix: string;
  /** Private to this world; goes with it. */
  readonly folder: string;
  readonly #namespaces = new Map<string, TestNetns>();

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'mnh-'));
    this.prefix = basename(this.folder);
  }

  /** A new namespace with its loopback up. */
  addNetns(name: string): TestNetns {
    const path = join(this.folder, name);
    writeFileSync(path, '', { flag: 'wx' });
    const netns = { name, path };
    this.#namespaces.set(name, netns);
    run(['unshare', `--net=${path}`, 'ip', 'link', 'set', 'lo', 'up']);
    return netns;
  }

  /** Removes a namespace's path. The namespace itself goes with its last open handle. */
  removeNetns(netns: TestNetns): void {
    if (!this.#namespaces.delete(netns.name)) throw new Error(`no namespace ${netns.name}`);
    // Lazily, as runtimes do: a process may have the file open.
    run(['umount', '--lazy', netns.path]);
    rmSync(netns.path);
  }

  /** Runs `ip` inside a namespace and returns what it printed; throws if it fails. */
  ip(netns: TestNetns, args: readonly string[]): string {
    return run(['nsenter', `--net=${netns.path}`, 'ip', ...args]);
  }

  /** Runs any program inside a namespace, bounded in time. */
  exec(netns: TestNetns, args: readonly string[]): { exitCode: number; output: string } {
    return tryRun(['nsenter', `--net=${netns.path}`, ...args]);
  }

  /** Runs many `ip` commands, one per line, in one process; throws at the first that fails. */
  ipBatch(netns: TestNetns, lines: readonly string[]): void {
    if (lines.length === 0) return;
    run(['nsenter', `--net=${netns.path}`, 'ip', '-batch', '-'], `${lines.join('\n')}\n`);
  }

  /** True if an address answers to one of some pings, which wait up to a second each. */
  ping(netns: TestNetns, address: string, attempts = 3): boolean {
    const ping = Bun.which('ping') === null ? ['busybox', 'ping'] : ['ping'];
    const isAnswered = (): boolean =>
      this.exec(netns, [...ping, '-c', '1', '-W', '1', '-q', address]).exitCode === 0;
    return Array.from({ length: attempts }).some(isAnswered);
  }

  /** Two ends of a cable, both up. */
  addVeth(a: VethEnd, b: VethEnd, o: { mtu?: number } = {}): void {
    const mtu = o.mtu === undefined ? '' : ` mtu ${o.mtu}`;
    const peer = `peer name ${b.name}${mtu} netns ${b.netns.path}`;
    this.ipBatch(a.netns, [`link add ${a.name}${mtu} type veth ${peer}`, `link set ${a.name} up`]);
    this.ip(b.netns, ['link', 'set', b.name, 'up']);
  }

  /** A bridge that is up; `ports` are links of the same namespace. */
  addBridge(netns: TestNetns, name: string, ports: readonly string[] = []): void {
    this.ip(netns, ['link', 'add', name, 'type', 'bridge', 'forward_delay', '0']);
    this.ip(netns, ['link', 'set', name, 'up']);
    for (const port of ports) this.ip(netns, ['link', 'set', port, 'master', name]);
  }

  [Symbol.dispose](): void {
    for (const { path } of this.#namespaces.values()) tryRun(['umount', '--lazy', path]);
    this.#namespaces.clear();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function tryRun(command: readonly string[], input = ''): { exitCode: number; output: string } {
  const result = Bun.spawnSync([...command], {
    stdin: new TextEncoder().encode(input),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: TOOL_TIMEOUT_MS,
  });
  return { exitCode: result.exitCode, output: `${result.stdout}${result.stderr}` };
}

function run(command: readonly string[], input = ''): string {
  const { exitCode, output } = tryRun(command, input);
  if (exitCode === 0) return output;
  throw new Error(`${command.join(' ')}: exit ${exitCode}: ${output.trim()}`);
}
