// Notifications about links, addresses and routes from a running `ip monitor`.
import { readFileSync } from 'node:fs';
import { DomainError } from '../../../shared/model/errors.ts';
import type { HostNetEvent } from '../host-net.ts';
import type { IpCommand } from './command.ts';

const SUBSCRIBE_ATTEMPTS_MAX = 200;
const SUBSCRIBE_INTERVAL_MS = 10;

/** `ip monitor label` puts one of these before each line. */
const eventOfLabel: Record<string, HostNetEvent> = {
  LINK: 'link',
  ADDR: 'address',
  ROUTE: 'route',
};

/** Reports until `signal` aborts; everything once when the listener is ready. */
export async function watchIp(
  ip: IpCommand,
  onEvent: (what: HostNetEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return;
  const everything = (): void => Object.values(eventOfLabel).forEach(onEvent);
  const command = ip.line(['monitor', 'label', 'link', 'address', 'route']);
  await using child = Bun.spawn(command, { stdio: ['ignore', 'pipe', 'pipe'], signal });
  // What changes before the listener is ready goes unseen, so all is reported once it is.
  await isListening(child.pid, signal);
  everything();
  const problems = new Response(child.stderr).text();
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of child.stdout) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split('\n');
    rest = lines.pop() ?? '';
    for (const what of eventsIn(lines)) onEvent(what);
  }
  if (signal.aborted) return;
  const output = (await problems).slice(0, 200);
  throw new DomainError('io-failed', 'ip monitor ended', { details: { output } });
}

/** IPv4, in the main table, and of the ordinary type: other tables and types are named. */
const ROUTE_TO_NETWORK = /^\[ROUTE\](?:Deleted )?[\d./]+ (?!.*\btable )/;

/** Of the routes that the kernel keeps itself, only those to the networks of NICs: see `watch`. */
function eventsIn(lines: readonly string[]): Set<HostNetEvent> {
  const labels = lines
    .filter((line) => !line.includes(' proto kernel ') || ROUTE_TO_NETWORK.test(line))
    .map((line) => /^(?:Deleted )?\[(\w+)\]/.exec(line)?.[1] ?? '');
  return new Set(labels.flatMap((label) => eventOfLabel[label] ?? []));
}

/** Waits until the process has a netlink socket that joined groups, as the kernel lists it. */
async function isListening(pid: number, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; attempt < SUBSCRIBE_ATTEMPTS_MAX && !signal.aborted; attempt += 1) {
    if (hasJoined(pid)) return;
    await Bun.sleep(SUBSCRIBE_INTERVAL_MS);
  }
  if (!signal.aborted) throw new DomainError('io-failed', 'ip monitor does not start');
}

/** Columns of /proc/PID/net/netlink: address, protocol (0: route), port, groups in hexadecimal. */
function hasJoined(pid: number): boolean {
  try {
    const lines = readFileSync(`/proc/${pid}/net/netlink`, 'utf8').split('\n');
    return lines.some((line) => {
      const [, protocol, port, groups] = line.trim().split(/\s+/);
      return protocol === '0' && port === String(pid) && groups !== '00000000';
    });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
