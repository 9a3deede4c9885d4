// Test equipment: the resource definitions that a test API server needs, ours as installed and the one of Multus.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dir, '../../deploy/crds');

/** The definition that Multus installs, as far as its readers need it. */
export const NAD_CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'network-attachment-definitions.k8s.cni.cncf.io' },
  spec: {
    group: 'k8s.cni.cncf.io',
    scope: 'Namespaced',
    names: {
      plural: 'network-attachment-definitions',
      singular: 'network-attachment-definition',
      kind: 'NetworkAttachmentDefinition',
      shortNames: ['net-attach-def'],
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  config: {
                    type: 'string',
                    description: 'CNI configuration, or a list of them, in JSON',
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

/** The definitions in deploy/crds. */
export function ourCrds(): unknown[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => Bun.YAML.parse(readFileSync(join(FOLDER, name), 'utf8')));
}
