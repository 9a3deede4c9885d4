// What the environment may say, and that all problems are named at once.
import { expect, test } from 'bun:test';
import { isDomainError } from '../shared/model/errors.ts';
import { parseSettings } from './settings.ts';

test('an empty environment gives the documented defaults', () => {
  expect(parseSettings({}, 'host-1')).toMatchObject({
    node: 'host-1',
    kubeconfigPath: undefined,
    hostname: '0.0.0.0',
    port: 11_000,
    socketPath: '/run/multi-nic/daemon.sock',
    stateDirectory: '/var/lib/multi-nic',
    spoolDirectory: '/run/multi-nic/spool',
    quarantineMs: 60_000,
    syncWaitMs: 1_000,
    publishIntervalMs: 1_000,
    includeVirtualNics: false,
    areWritesOpen: false,
    nodeAddresses: [],
  });
});

test('every variable is read', () => {
  const env = {
    K8S_NODENAME: 'n1',
    KUBECONFIG_FILE: '/k',
    DAEMON_PORT: '0',
    MULTI_NIC_HTTP_HOST: '127.0.0.1',
    MULTI_NIC_SOCKET: '/s',
    MULTI_NIC_STATE: '/t',
    MULTI_NIC_SPOOL: '/u',
    MULTI_NIC_QUARANTINE_SECONDS: '5',
    MULTI_NIC_INCLUDE_VIRTUAL_NICS: 'true',
    MULTI_NIC_COMPAT_WRITES: 'true',
    HOST_IPS: '10.0.0.1,fd00::1',
    OPERATOR_NAMESPACE: 'ops',
    LOG_LEVEL: 'debug',
  };
  expect(parseSettings(env, 'other')).toMatchObject({
    node: 'n1',
    kubeconfigPath: '/k',
    port: 0,
    hostname: '127.0.0.1',
    socketPath: '/s',
    stateDirectory: '/t',
    spoolDirectory: '/u',
    quarantineMs: 5_000,
    includeVirtualNics: true,
    areWritesOpen: true,
    nodeAddresses: ['10.0.0.1', 'fd00::1'],
    operatorNamespace: 'ops',
    logLevel: 'debug',
  });
});

test('all problems are named at once', () => {
  const env = {
    DAEMON_PORT: '70000',
    MULTI_NIC_STATE: 'relative',
    MULTI_NIC_QUARANTINE_SECONDS: 'x',
  };
  try {
    parseSettings(env, '');
  } catch (error) {
    expect(isDomainError(error, 'invalid-environment')).toBe(true);
    expect(String(error)).toMatch(/DAEMON_PORT.*MULTI_NIC_QUARANTINE.*|MULTI_NIC_STATE/);
    expect((error as { details: { issues: string[] } }).details.issues).toHaveLength(4);
    return;
  }
  throw new Error('accepted');
});
