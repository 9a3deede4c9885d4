// What planning found and cannot put right: facts first, the sentence is built last and only here.

import { NET_ADDRESSES_MAX } from '../../shared/model/objects/network-rules.ts';

export type Problem =
  | { readonly kind: 'interface-indices-exhausted'; readonly netAddresses: readonly string[] }
  | { readonly kind: 'too-many-net-addresses'; readonly netAddresses: readonly string[] }
  | {
      readonly kind: 'host-indices-exhausted';
      readonly netAddress: string;
      readonly hosts: readonly string[];
    }
  | {
      readonly kind: 'host-block-zero';
      readonly netAddress: string;
      readonly hosts: readonly string[];
    }
  | {
      readonly kind: 'index-conflict';
      readonly netAddress: string;
      readonly hostIndex: number;
      readonly hosts: readonly string[];
      readonly sources: readonly string[];
      /** One of the hosts has it published: then the records of the others are out of date. */
      readonly isPublished: boolean;
    }
  | {
      readonly kind: 'records-disagree';
      readonly netAddress: string;
      readonly hostName: string;
      readonly indices: readonly number[];
    }
  | {
      readonly kind: 'index-held-twice';
      readonly netAddress: string;
      readonly hostIndex: number;
      readonly hosts: readonly string[];
    }
  | {
      readonly kind: 'index-outside';
      readonly netAddress: string;
      readonly hostName: string;
      readonly hostIndex: number;
    }
  | {
      readonly kind: 'interface-conflict';
      readonly netAddresses: readonly string[];
      readonly interfaceIndices: readonly number[];
    }
  | {
      readonly kind: 'block-excluded';
      readonly netAddress: string;
      readonly hosts: readonly string[];
    }
  | {
      readonly kind: 'net-too-small';
      readonly netAddress: string;
      readonly hostBits: number;
    }
  | { readonly kind: 'record-unreadable'; readonly record: string };

const NAMES_MAX = 10;

/** Names for people: at most ten, and how many more there are. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).join(', ');
  return names.length <= NAMES_MAX ? shown : `${shown} and ${names.length - NAMES_MAX} more`;
}

/** One sentence for conditions and logs: what is the matter, and what to do about it. */
export function describeProblem(problem: Problem): string {
  return `${sayProblem(problem)}: ${REMEDIES[problem.kind]}`;
}

const IMMUTABLE = '(it cannot be changed in this one)';
const GREATER_BLOCK = `make a new network with a greater hostBlock ${IMMUTABLE}`;
const WRONG_RECORD = 'delete the one that no pod has addresses of';

const REMEDIES: Readonly<Record<Problem['kind'], string>> = {
  'interface-indices-exhausted':
    'list in masterNets those that are wanted, or ' +
    `make a new network with a greater interfaceBlock ${IMMUTABLE}`,
  'too-many-net-addresses': 'list in masterNets those that are wanted',
  'host-indices-exhausted': GREATER_BLOCK,
  'host-block-zero': GREATER_BLOCK,
  'index-conflict': 'see whose pods use the block, drain the other host and delete its record',
  'records-disagree': WRONG_RECORD,
  'index-held-twice': 'drain one of them and take the index out of its HostInterface status',
  'index-outside': 'delete the record that says so',
  'interface-conflict': WRONG_RECORD,
  'block-excluded': 'they keep the index and give no more addresses',
  'net-too-small': `make a new network with a smaller hostBlock ${IMMUTABLE}`,
  'record-unreadable': 'delete it if no pod has addresses of it',
};

function sayProblem(problem: Problem): string {
  const hosts = 'hosts' in problem ? listNames(problem.hosts) : '';
  const nets = 'netAddresses' in problem ? listNames(problem.netAddresses) : '';
  switch (problem.kind) {
    case 'interface-indices-exhausted':
      return `no interface index is left for ${nets}`;
    case 'too-many-net-addresses':
      return `a network can have ${NET_ADDRESSES_MAX} net addresses; there is no room for ${nets}`;
    case 'host-indices-exhausted':
      return `no host index is left in ${problem.netAddress} for ${hosts}`;
    case 'host-block-zero':
      return `hostBlock is 0, so ${problem.netAddress} serves one host only, not ${hosts}`;
    case 'index-conflict':
      return `${place(problem)} is recorded for ${hosts} (${problem.sources.join(', ')})`;
    case 'records-disagree': {
      const { hostName, indices, netAddress } = problem;
      return `records give ${hostName} the host indices ${indices.join(' and ')} in ${netAddress}`;
    }
    case 'index-held-twice':
      return `${place(problem)} is published for ${hosts}`;
    case 'index-outside':
      return `${place(problem)} of ${problem.hostName} is outside the division`;
    case 'interface-conflict': {
      const indices = problem.interfaceIndices.join(', ');
      return `records give the interface indices ${indices} to ${nets} in contradiction`;
    }
    case 'block-excluded':
      return `excludeCIDRs covers the blocks of ${hosts} in ${problem.netAddress}`;
    case 'net-too-small':
      return `${problem.netAddress} has no room for ${problem.hostBits} host bits`;
    case 'record-unreadable':
      return `${problem.record} does not fit the division of the network`;
  }
}

function place(o: { readonly netAddress: string; readonly hostIndex: number }): string {
  return `host index ${o.hostIndex} in ${o.netAddress}`;
}
