// How plugins are driven: order, previous results, the cache, and the words of failures. The
// plugins are small scripts that write down how they were called.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  addNetwork,
  checkNetwork,
  deleteNetwork,
  PluginError,
  parseNetworkList,
  type Runtime,
} from './libcni.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'multi-nic-libcni-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Installs a plugin that records its request under a rising number and then runs `body`. */
function install(type: string, body: string): void {
  const script = `#!/bin/sh
n=$(ls ${folder}/calls-* 2>/dev/null | wc -l)
{ echo "$CNI_COMMAND ${type} $CNI_IFNAME $CNI_ARGS"; cat; } >${folder}/calls-$n
${body}
`;
  writeFileSync(join(folder, type), script, { mode: 0o755 });
}

function calls(): { line: string; request: Record<string, unknown> }[] {
  const files = readdirSync(folder).filter((name) => name.startsWith('calls-'));
  return files.sort().map((file) => {
    const [line = '', ...rest] = readFileSync(join(folder, file), 'utf8').split('\n');
    return { line, request: JSON.parse(rest.join('\n')) };
  });
}

function runtime(capabilities: Record<string, unknown> = {}): Runtime {
  return {
    containerId: 'c1',
    netns: '/run/netns/x',
    ifName: 'net1',
    args: [['K', 'V']],
    path: [join(folder, 'absent'), folder],
    cacheFolder: join(folder, 'cache'),
    capabilities,
  };
}

const list = (version: string): string =>
  JSON.stringify({
    cniVersion: version,
    name: 'net',
    plugins: [{ type: 'first' }, { type: 'second', capabilities: { ips: true } }],
  });

describe('libcni rules', () => {
  test('a single plugin becomes a list and gets the name it lacks', () => {
    const parsed = parseNetworkList('{"type":"first"}', 'fallback');
    expect(parsed).toMatchObject({
      name: 'fallback',
      cniVersion: '',
      plugins: [{ type: 'first' }],
    });
  });

  test('the highest known of several versions is used', () => {
    const source = '{"name":"n","cniVersions":["9.9.9","0.4.0","1.0.0"],"cniVersion":"0.3.1"}';
    expect(parseNetworkList(source, 'x').cniVersion).toBe('1.0.0');
  });

  test('ADD goes forward with the result before, DEL backward with the last one', async () => {
    install('first', `echo '{"cniVersion":"1.0.0","ips":[]}'`);
    install('second', `[ "$CNI_COMMAND" = DEL ] || echo '{"cniVersion":"1.0.0","routes":[]}'`);
    const network = parseNetworkList(list('1.0.0'), 'net');
    expect(await addNetwork(network, runtime())).toEqual({ cniVersion: '1.0.0', routes: [] });
    const cache = join(folder, 'cache/results/net-c1-net1');
    expect(JSON.parse(readFileSync(cache, 'utf8'))).toMatchObject({
      kind: 'cniCacheV1',
      containerId: 'c1',
      networkName: 'net',
      ifName: 'net1',
    });
    await deleteNetwork(network, runtime());
    expect(existsSync(cache)).toBe(false);
    const [add1, add2, del1, del2] = calls();
    expect([add1?.line, add2?.line]).toEqual(['ADD first net1 K=V', 'ADD second net1 K=V']);
    expect([del1?.line, del2?.line]).toEqual(['DEL second net1 K=V', 'DEL first net1 K=V']);
    expect(add1?.request).toEqual({ cniVersion: '1.0.0', name: 'net', type: 'first' });
    expect(add2?.request.prevResult).toEqual({ cniVersion: '1.0.0', ips: [] });
    expect(del2?.request.prevResult).toEqual({ cniVersion: '1.0.0', routes: [] });
  });

  test('below 0.4.0 DEL gets no result, and CHECK is refused', async () => {
    install('first', `echo '{}'`);
    install('second', `echo '{}'`);
    const network = parseNetworkList(list('0.3.1'), 'net');
    await addNetwork(network, runtime());
    await deleteNetwork(network, runtime());
    expect(calls().at(-1)?.request).not.toHaveProperty('prevResult');
    await expect(checkNetwork(network, runtime())).rejects.toThrow(
      'does not support the CHECK command',
    );
  });

  test('a capability reaches only the plugin that declares it', async () => {
    install('first', `echo '{}'`);
    install('second', `echo '{}'`);
    await addNetwork(parseNetworkList(list('1.0.0'), 'net'), runtime({ ips: ['10.0.0.1'] }));
    const [first, second] = calls();
    expect(first?.request).not.toHaveProperty('runtimeConfig');
    expect(second?.request.runtimeConfig).toEqual({ ips: ['10.0.0.1'] });
  });

  test('a failure ends the chain and keeps the code of the plugin', async () => {
    install('first', `echo '{"code":11,"msg":"not now","details":"d"}'; exit 1`);
    install('second', `echo '{}'`);
    const adding = addNetwork(parseNetworkList(list('1.0.0'), 'net'), runtime());
    const error = await adding.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PluginError);
    expect(error).toMatchObject({
      code: 11,
      details: 'd',
      message: 'plugin type="first" name="net" failed (add): not now',
    });
    expect(calls()).toHaveLength(1);
    expect(existsSync(join(folder, 'cache/results/net-c1-net1'))).toBe(false);
  });

  test('a failure without words is reported with the exit code', async () => {
    install('first', 'exit 3');
    const adding = addNetwork(parseNetworkList('{"type":"first"}', 'net'), runtime());
    await expect(adding).rejects.toThrow('netplugin failed: no error message, exit code 3');
  });

  test('a plugin that is nowhere on the path is named', async () => {
    const adding = addNetwork(parseNetworkList('{"type":"gone"}', 'net'), runtime());
    await expect(adding).rejects.toThrow('failed to find plugin "gone" in path');
  });
});
