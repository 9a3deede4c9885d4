// The part of a container runtime that the demo needs: it calls the compiled CNI executable with the environment and
// standard input that a runtime gives it, inside the host's namespace, and reads the result.
import { hostNetns, type Pod } from './lab.ts';

export interface CniCall {
  program: string;
  command: 'ADD' | 'DEL' | 'CHECK';
  pod: Pod;
  ifName: string;
  /** The NAD's `spec.config`, with `prevResult` added where the verb wants it. */
  config: string;
  socket: string;
  spool: string;
}

export interface CniAnswer {
  output: string;
  tookMs: number;
}

/** Executes one verb. A plugin's failure is an error that carries the plugin's own message. */
export async function callPlugin(call: CniCall): Promise<CniAnswer> {
  const { pod } = call;
  const begin = performance.now();
  const child = Bun.spawn(['nsenter', `--net=${hostNetns(pod.host)}`, call.program], {
    stdin: new TextEncoder().encode(call.config),
    stdout: 'pipe',
    stderr: 'pipe',
    env: {
      CNI_COMMAND: call.command,
      CNI_CONTAINERID: pod.containerId,
      CNI_NETNS: pod.netns,
      CNI_IFNAME: call.ifName,
      CNI_ARGS: [
        'IgnoreUnknown=1',
        'K8S_POD_NAMESPACE=default',
        `K8S_POD_NAME=${pod.name}`,
        `K8S_POD_INFRA_CONTAINER_ID=${pod.containerId}`,
        `K8S_POD_UID=${pod.uid}`,
      ].join(';'),
      CNI_PATH: '/opt/cni/bin',
      MULTI_NIC_SOCKET: call.socket,
      MULTI_NIC_SPOOL: call.spool,
    },
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${call.command} ${pod.name}: ${(output || errors).trim()}`);
  return { output, tookMs: performance.now() - begin };
}
