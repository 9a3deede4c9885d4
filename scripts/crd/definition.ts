// The CustomResourceDefinition of a kind, as an object and as the text of its file.
import { GROUP, VERSION } from '../../src/shared/model/names.ts';
import { type CrdKind, crdKinds } from './kinds.ts';
import { type SchemaNode, toStructuralSchema } from './structural.ts';

/** The frame that the API server checks itself; a schema may not describe it. */
const frame = {
  apiVersion: {
    type: 'string',
    description: `Version of the format: ${GROUP}/${VERSION}.`,
  },
  kind: { type: 'string', description: 'Kind of the object.' },
  metadata: { type: 'object' },
};

/** The definition, ready to be applied. */
export function toCrd(kind: CrdKind): SchemaNode {
  const { plural, singular, shortNames } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Cluster',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural,
        singular,
        shortNames,
        categories: ['multi-nic'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: kind.columns,
          schema: { openAPIV3Schema: toObjectSchema(kind) },
        },
      ],
    },
  };
}

/** All files of deploy/crds by name. */
export function renderCrds(): Map<string, string> {
  return new Map(
    crdKinds.map((kind) => [`${GROUP}_${kind.plural}.yaml`, renderCrd(kind)] as const),
  );
}

function renderCrd(kind: CrdKind): string {
  const header =
    '# Generated from src/shared/model/objects by `make generate`; not to be edited.\n';
  return `${header}${Bun.YAML.stringify(toCrd(kind), null, 2)}\n`;
}

function toObjectSchema({ schema, description }: CrdKind): SchemaNode {
  const node = toStructuralSchema(schema, { omit: Object.keys(frame) });
  const members = Object(node.properties);
  const status = members.status ?? { type: 'object', description: 'Nothing is reported.' };
  return {
    ...node,
    description,
    required: ['spec'],
    properties: { ...frame, spec: members.spec, status },
  };
}
