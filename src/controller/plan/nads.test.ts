// Which definitions are created, changed, deleted or left alone.
import { describe, expect, test } from 'bun:test';
import { type NadTemplate, type NadView, planNads, toNad } from './nads.ts';

const owner = {
  apiVersion: 'multinic.fms.io/v1',
  kind: 'MultiNicNetwork',
  name: 'net',
  uid: 'uid-1',
  controller: true,
  blockOwnerDeletion: true,
};
const template: NadTemplate = { name: 'net', config: '{}', annotations: {}, owner };

function stored(namespace: string, change: Partial<NadView> = {}): NadView {
  return {
    name: 'net',
    namespace,
    uid: `nad-${namespace}`,
    resourceVersion: '7',
    isDeleting: false,
    labels: { 'multi-nic-cni-generated': 'true' },
    annotations: {},
    owners: [owner],
    config: '{}',
    ...change,
  };
}

const plan = (
  existing: NadView[],
  o: { wanted?: string[]; template?: NadTemplate | undefined } = {},
) =>
  planNads({
    networkName: 'net',
    template: 'template' in o ? o.template : template,
    namespaces: o.wanted ?? ['a'],
    existing,
  });

describe('planNads', () => {
  test('creates where there is none, in the order of namespaces', () => {
    const { actions } = plan([], { wanted: ['b', 'a'] });
    expect(actions).toEqual([
      { kind: 'create', namespace: 'a', body: toNad(template, 'a') },
      { kind: 'create', namespace: 'b', body: toNad(template, 'b') },
    ]);
  });

  test('leaves alone what is as it has to be', () => {
    expect(plan([stored('a')])).toEqual({ actions: [], foreign: [] });
  });

  test('what it makes is what it wants', () => {
    const annotations = { 'k8s.v1.cni.cncf.io/resourceName': 'a/b' };
    const wanted = { ...template, annotations };
    expect(toNad(wanted, 'a')).toEqual({
      apiVersion: 'k8s.cni.cncf.io/v1',
      kind: 'NetworkAttachmentDefinition',
      metadata: {
        name: 'net',
        namespace: 'a',
        labels: { 'multi-nic-cni-generated': 'true' },
        annotations,
        ownerReferences: [owner],
      },
      spec: { config: '{}' },
    });
    expect(plan([stored('a', { annotations })], { template: wanted }).actions).toEqual([]);
  });

  test.each([
    ['another text', { config: '{"x":1}' }, { spec: { config: '{}' } }],
    [
      'a missing label',
      { labels: {} },
      { metadata: { labels: { 'multi-nic-cni-generated': 'true' } } },
    ],
    ['a missing owner (before v1.2.8)', { owners: [] }, { metadata: { ownerReferences: [owner] } }],
    [
      'an owner of an earlier life',
      { owners: [{ ...owner, uid: 'old' }] },
      { metadata: { ownerReferences: [owner] } },
    ],
    [
      'an annotation that the plugin no longer gives',
      { annotations: { 'k8s.v1.cni.cncf.io/resourceName': 'x', note: 'kept' } },
      { metadata: { annotations: { 'k8s.v1.cni.cncf.io/resourceName': null } } },
    ],
  ])('patches %s on the version it saw', (_, change, body) => {
    const { actions } = plan([stored('a', change)]);
    expect(actions).toHaveLength(1);
    expect(actions[0]).toMatchObject({ kind: 'patch', namespace: 'a', body });
    expect(actions[0]).toMatchObject({ body: { metadata: { resourceVersion: '7' } } });
  });

  test('owners of other kinds stay', () => {
    const other = { apiVersion: 'v1', kind: 'Team', name: 'x', uid: 'y' };
    const { actions } = plan([stored('a', { owners: [other, { ...owner, uid: 'old' }] })]);
    expect(actions).toMatchObject([{ body: { metadata: { ownerReferences: [other, owner] } } }]);
  });

  test('annotations are merged', () => {
    const wanted = { ...template, annotations: { 'k8s.v1.cni.cncf.io/resourceName': 'a/b' } };
    const { actions } = plan([stored('a', { annotations: { note: 'kept' } })], {
      template: wanted,
    });
    expect(actions).toMatchObject([
      { body: { metadata: { annotations: { 'k8s.v1.cni.cncf.io/resourceName': 'a/b' } } } },
    ]);
  });

  test('deletes exactly the object it saw where none is wanted (W-62)', () => {
    expect(plan([stored('b')]).actions).toContainEqual({
      kind: 'delete',
      namespace: 'b',
      uid: 'nad-b',
    });
    expect(plan([stored('a')], { template: undefined }).actions).toEqual([
      { kind: 'delete', namespace: 'a', uid: 'nad-a' },
    ]);
  });

  test('waits for one that is on its way out', () => {
    expect(plan([stored('a', { isDeleting: true })]).actions).toEqual([]);
  });

  test.each([
    ['no label and no owner', { labels: {}, owners: [] }],
    ['a label copied, owned by another', { owners: [{ ...owner, kind: 'Team' }] }],
    ['owned by another network', { owners: [{ ...owner, name: 'other' }] }],
  ])('W-69: leaves alone and names one that is not ours: %s', (_, change) => {
    expect(plan([stored('a', change)])).toEqual({ actions: [], foreign: ['a'] });
    expect(plan([stored('a', change)], { template: undefined })).toEqual({
      actions: [],
      foreign: [],
    });
  });
});
