// Which links can be together on one NIC, and what a refusal says.
import { describe, expect, test } from 'bun:test';
import { DomainError } from '../../shared/model/errors.ts';
import type { SlaveKind } from '../hostnet/host-net.ts';
import type { AttachedNic, Attachment, AttachmentKey } from '../journal/attachment.ts';
import { MasterUse } from './master-use.ts';

const L2: SlaveKind = { kind: 'ipvlan', mode: 'l2' };
const L3: SlaveKind = { kind: 'ipvlan', mode: 'l3' };
const BRIDGE: SlaveKind = { kind: 'macvlan', mode: 'bridge' };
const PRIVATE: SlaveKind = { kind: 'macvlan', mode: 'private' };

function row(id: number, link: SlaveKind, change: Partial<Attachment> = {}): Attachment {
  const nic = (master: string): AttachedNic => ({
    name: 'net1-0',
    master,
    netAddress: '10.0.1.0/24',
    ...link,
    mtu: 0,
    mac: '',
    addresses: [],
    routes: [],
  });
  return {
    id,
    network: 'first',
    containerId: `c${id}`,
    ifName: 'net1',
    state: 'attached',
    external: false,
    podUid: '',
    podNamespace: '',
    podName: '',
    netnsPath: '',
    netnsId: '',
    bootId: '',
    group: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    nics: ['eth1', 'eth2'].map(nic),
    sharedRoutes: [],
    why: {},
    ...change,
  };
}

/** A journal with these rows; counts how many bodies are read. */
function journalOf(rows: Attachment[]) {
  const journal = {
    reads: 0,
    find: ({ containerId }: AttachmentKey) => rows.find((one) => one.containerId === containerId),
    list: () => {
      journal.reads += rows.length;
      return rows;
    },
  };
  return journal;
}

const ask = (use: MasterUse, link: SlaveKind, masters = ['eth2'], id?: number): unknown => {
  try {
    use.refuseConflict({ network: 'second', link, masters, ...(id === undefined ? {} : { id }) });
    return 'fits';
  } catch (error) {
    return error;
  }
};

describe('MasterUse', () => {
  test.each<[string, SlaveKind, SlaveKind, boolean]>([
    ['the same ipvlan mode', L3, L3, true],
    ['another ipvlan mode', L3, L2, false],
    ['macvlan beside ipvlan', L3, BRIDGE, false],
    ['ipvlan beside macvlan', BRIDGE, L2, false],
    ['another macvlan mode', BRIDGE, PRIVATE, true],
  ])('%s', (_, present, wanted, isFine) => {
    const answer = ask(new MasterUse(journalOf([row(1, present)])), wanted);
    expect(answer === 'fits').toBe(isFine);
  });

  test('the refusal names the NIC, the other network and both modes', () => {
    const error = ask(new MasterUse(journalOf([row(1, L3)])), L2, ['eth9', 'eth2']);
    if (!(error instanceof DomainError)) throw new Error('not refused');
    expect(error.kind).toBe('invalid-config');
    expect(error.message).toMatch(/network second.*ipvlan l2 on eth2.*ipvlan l3.*network first/);
    expect(error.details).toMatchObject({ interfaceName: 'eth2', otherNetwork: 'first' });
  });

  test('other NICs, and links that somebody else made, do not count', () => {
    expect(ask(new MasterUse(journalOf([row(1, L3)])), L2, ['eth3'])).toBe('fits');
    expect(ask(new MasterUse(journalOf([row(1, L3, { external: true })])), L2)).toBe('fits');
  });

  test('a NIC is free for another mode when its last attachment is gone', () => {
    const rows = [row(1, L3), row(2, L3, { state: 'releasing' })];
    const use = new MasterUse(journalOf(rows));
    rows.shift();
    expect(ask(use, L2)).toBeInstanceOf(DomainError);
    rows.shift();
    expect(ask(use, L2)).toBe('fits');
  });

  test('of two that come at once the older row gets through', () => {
    const use = new MasterUse(journalOf([row(1, L3), row(2, L2)]));
    expect(ask(use, L3, ['eth1'], 1)).toBe('fits');
    expect(ask(use, L2, ['eth1'], 2)).toBeInstanceOf(DomainError);
  });

  test('a row that is written later counts, whether or not it stays', () => {
    const rows = [row(1, L3)];
    const use = new MasterUse(journalOf(rows));
    expect(ask(use, L2, ['eth3'])).toBe('fits');
    const later = row(2, L3, { nics: row(2, L3).nics.map((nic) => ({ ...nic, master: 'eth3' })) });
    use.add(later);
    expect(ask(use, L2, ['eth3'])).toBe('fits');
    rows.push(later);
    use.add(later);
    expect(ask(use, L2, ['eth3'])).toBeInstanceOf(DomainError);
  });

  test('reads the body of an attachment once', () => {
    const journal = journalOf([row(1, L3), row(2, L3)]);
    const use = new MasterUse(journal);
    for (let i = 0; i < 5; i += 1) ask(use, L3);
    expect(journal.reads).toBe(2);
  });
});
