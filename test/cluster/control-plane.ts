// The machine with etcd, the API server, the controller manager and the scheduler, and with the
// switches: a bridge for the management network and one per rail. It holds the address of the
// `kubernetes` Service itself, and every node's default route leads to it; so pods reach the API at
// its usual address without a kube-proxy, and no node needs nft or iptables.

import { join } from 'node:path';
import { type ApiAccess, kubeconfigOf } from './api.ts';
import { type Certificate, createAuthority, createSigningKey } from './certificates.ts';
import { run } from './command.ts';
import {
  type Services,
  startMachine,
  writeBaseFiles,
  writeFile,
  writeServices,
} from './machine.ts';
import type { Peers } from './peers.ts';
import {
  ADMIN_KUBECONFIG,
  API_ADDRESS,
  API_SERVICE_ADDRESS,
  type ClusterShape,
  CONTROL_PLANE,
  HOST_ADDRESS,
  HOST_LINK,
  nodeAddress,
  nodeName,
  podBlock,
} from './settings.ts';

/** User, token and groups of everyone who talks to the API server with a token of the test. */
interface Account {
  readonly user: string;
  readonly groups?: string;
}

/** What nodes need from the control plane. */
export interface ControlPlane {
  /** Certificate of the authority that signed everything. */
  readonly ca: string;
  /** Access for a user of the test: `node:n1`, `meta`, … */
  access(account: string): ApiAccess;
}

const API_MAC = '02:6d:6e:6b:00:01';
const PKI = '/etc/kubernetes/pki';

/** Writes the configuration of the control plane and the administrator's kubeconfig. */
export function configureControlPlane(shape: ClusterShape, peers: Peers): ControlPlane {
  const authority = createAuthority('multi-nic-test');
  const names = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const server = authority.issue({
    commonName: 'kube-apiserver',
    usage: 'server',
    ipAddresses: ['127.0.0.1', API_ADDRESS, API_SERVICE_ADDRESS],
    dnsNames: ['localhost', ...names, 'kubernetes.default.svc.cluster.local'],
  });
  const kubeletClient = authority.issue({
    commonName: 'kube-apiserver-kubelet-client',
    organization: 'system:masters',
    usage: 'client',
  });
  writeBaseFiles(CONTROL_PLANE, API_ADDRESS);
  writePair('apiserver', server);
  writePair('kubelet-client', kubeletClient);
  writePair('ca', authority);
  writeFile(CONTROL_PLANE, `${PKI}/service-accounts.key`, createSigningKey(), 0o600);

  const accounts = accountsOf(shape);
  const tokens = new Map([...accounts.keys()].map((name) => [name, newToken()]));
  const lines = [...accounts].map(
    ([name, { user, groups }]) => `${tokens.get(name)},${user},${name},"${groups ?? ''}"`,
  );
  writeFile(CONTROL_PLANE, `${PKI}/tokens.csv`, `${lines.join('\n')}\n`, 0o600);
  const access = (account: string): ApiAccess => {
    const token = tokens.get(account);
    if (token === undefined) throw new Error(`there is no account ${account}`);
    return { server: `https://${API_ADDRESS}`, ca: authority.certificate, token };
  };
  for (const name of ['controller-manager', 'scheduler']) {
    writeFile(CONTROL_PLANE, kubeconfigPath(name), kubeconfigOf(access(name)), 0o600);
  }
  writeServices(CONTROL_PLANE, services(peers));
  return { ca: authority.certificate, access };
}

/**
 * Starts the machine with its bridges and its link to the host. The API server is up some seconds
 * later.
 */
export async function startControlPlane(
  shape: ClusterShape,
  o: { peers: Peers; plane: ControlPlane; signal?: AbortSignal | undefined },
): Promise<void> {
  const connect = async (pid: number): Promise<void> => {
    const bridges = ['mgmt', ...Array.from({ length: shape.rails }, (_, rail) => `rail${rail}`)];
    const routes = Array.from({ length: shape.nodes }, (_, index) => index + 1).map(
      (number) => `route add ${podBlock(number)} via ${nodeAddress(number)}`,
    );
    const inside = [
      ...bridges.flatMap((name) => [`link add ${name} type bridge`, `link set ${name} up`]),
      // A bridge without a MAC of its own takes one from its ports, and another when a node goes:
      // nobody would find it.
      `link set mgmt address ${API_MAC}`,
      `addr add ${API_ADDRESS}/24 dev mgmt`,
      `addr add ${API_SERVICE_ADDRESS}/32 dev lo`,
      'link set host master mgmt up',
      ...routes,
    ];
    const outside = [
      `link add ${HOST_LINK} type veth peer name host netns ${pid}`,
      `addr add ${HOST_ADDRESS}/24 dev ${HOST_LINK}`,
      `link set ${HOST_LINK} up`,
    ];
    await run(['ip', '-batch', '-'], { stdin: outside.join('\n') });
    await ipBatch(pid, inside);
  };
  await startMachine(CONTROL_PLANE, { peers: o.peers.folder, connect, signal: o.signal });
  await Bun.write(ADMIN_KUBECONFIG, kubeconfigOf(o.plane.access('admin')));
}

/** Runs `ip` commands in the network namespace of a process. */
export async function ipBatch(pid: number, commands: readonly string[]): Promise<void> {
  const argv = ['nsenter', '--target', `${pid}`, '--net', '--', 'ip', '-batch', '-'];
  await run(argv, { stdin: `${commands.join('\n')}\n` });
}

function accountsOf(shape: ClusterShape): Map<string, Account> {
  const nodes = Array.from({ length: shape.nodes }, (_, index) => nodeName(index + 1));
  return new Map<string, Account>([
    ['admin', { user: 'admin', groups: 'system:masters' }],
    ['controller-manager', { user: 'system:kube-controller-manager' }],
    ['scheduler', { user: 'system:kube-scheduler' }],
    ['meta', { user: 'test-meta' }],
    ...nodes.map(
      (name) => [`node:${name}`, { user: `system:node:${name}`, groups: 'system:nodes' }] as const,
    ),
  ]);
}

function services(peers: Peers): Services {
  const common = (name: string): string =>
    `--kubeconfig=${kubeconfigPath(name)} --authentication-kubeconfig=${kubeconfigPath(name)}` +
    ` --authorization-kubeconfig=${kubeconfigPath(name)}` +
    ' --leader-elect=false --bind-address=127.0.0.1';
  // The database is thrown away with the cluster, so nothing has to reach the disk.
  const etcdFlags = '--data-dir=/var/lib/etcd --unsafe-no-fsync --log-level=warn';
  const etcd = `exec ${peers.inside('etcd')} ${etcdFlags}`;
  const apiserver = [
    `exec ${peers.inside('kube-apiserver')} --etcd-servers=http://127.0.0.1:2379`,
    `--bind-address=0.0.0.0 --secure-port=443 --advertise-address=${API_ADDRESS}`,
    `--tls-cert-file=${PKI}/apiserver.crt --tls-private-key-file=${PKI}/apiserver.key`,
    `--client-ca-file=${PKI}/ca.crt --token-auth-file=${PKI}/tokens.csv`,
    `--kubelet-client-certificate=${PKI}/kubelet-client.crt`,
    `--kubelet-client-key=${PKI}/kubelet-client.key`,
    '--kubelet-preferred-address-types=InternalIP --service-cluster-ip-range=10.96.0.0/16',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${PKI}/service-accounts.key`,
    `--service-account-signing-key-file=${PKI}/service-accounts.key`,
    '--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true --shutdown-delay-duration=0s',
  ].join(' ');
  const manager = [
    `exec ${peers.inside('kube-controller-manager')} ${common('controller-manager')}`,
    `--service-account-private-key-file=${PKI}/service-accounts.key --root-ca-file=${PKI}/ca.crt`,
    `--cluster-signing-cert-file=${PKI}/ca.crt --cluster-signing-key-file=${PKI}/ca.key`,
    '--use-service-account-credentials=true --kube-api-qps=300 --kube-api-burst=500',
  ].join(' ');
  const scheduler = `exec ${peers.inside('kube-scheduler')} ${common('scheduler')}`;
  return { etcd, apiserver, 'controller-manager': manager, scheduler };
}

function writePair(name: string, pair: Certificate): void {
  writeFile(CONTROL_PLANE, join(PKI, `${name}.crt`), pair.certificate);
  writeFile(CONTROL_PLANE, join(PKI, `${name}.key`), pair.key, 0o600);
}

function kubeconfigPath(name: string): string {
  return `/etc/kubernetes/${name}.kubeconfig`;
}

function newToken(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('hex');
}
