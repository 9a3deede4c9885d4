// The metrics as a scraper reads them (Prometheus text format 0.0.4): valid names, one type for each
// family that fits its name, no series twice, and buckets that add up.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { cniRequest, createFakeHost, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const SERIES =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/;

test('every family has a valid name, one fitting type, and no series twice', async () => {
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  await using h = await startHarness({ hostNet });
  await send(h.socket, cniRequest('ADD'));
  await send(h.socket, cniRequest('ADD'));
  const text = await (await fetch(`${h.url}/metrics`)).text();
  const types = new Map<string, string>();
  const seen = new Set<string>();
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('#')) {
      const [, word = '', name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
      expect(name).not.toBe('');
      if (word !== 'TYPE') continue;
      expect(types.has(name)).toBe(false);
      types.set(name, rest);
      expect(`${name} ${rest === 'counter'}`).toBe(`${name} ${name.endsWith('_total')}`);
      continue;
    }
    const [, name = '', labels = '', value = ''] = SERIES.exec(line) ?? [];
    expect(`${line} ${name !== '' && Number.isFinite(Number(value))}`).toBe(`${line} true`);
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    expect(types.has(family)).toBe(true);
    expect(seen.has(name + labels)).toBe(false);
    seen.add(name + labels);
  }
  expect(types.get('multi_nic_journal_commits_total')).toBe('counter');
  expect(text).toContain(
    'multi_nic_cni_requests_total{command="ADD",outcome="already-attached"} 1',
  );
});
