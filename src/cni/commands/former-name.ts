// The names of plugins that the original needed beside `multi-nic`. Their work is done by the
// daemon now; the names stay so that tools which look for them find a plugin that says so.

import { DomainError } from '../../shared/model/errors.ts';
import type { CniCall, CniCommandHandler } from '../ports.ts';
import type { ProgramName } from '../program.ts';

const ADVICE: Readonly<Record<Exclude<ProgramName, 'multi-nic'>, string>> = {
  'multi-nic-ipam':
    'the multi-nic daemon chooses addresses and attaches in one step: use a configuration of ' +
    'type multi-nic, whose ipam.type may be multi-nic-ipam',
  'aws-ipvlan':
    'addresses of cloud interfaces are not handled by this name; use a configuration of type ' +
    'multi-nic, and see the documentation for which plugin types are supported',
};

/** A handler that refuses ADD, DEL and CHECK under this name: nothing is ever attached under it. */
export function refuseFormerName(program: Exclude<ProgramName, 'multi-nic'>): CniCommandHandler {
  return (call: CniCall) => {
    const { command } = call.environment;
    const message = `${program} does not handle ${command}: it is kept as a name only`;
    const details = { advice: ADVICE[program], answers: 'VERSION, STATUS and GC' };
    return Promise.reject(new DomainError('invalid-config', message, { details }));
  };
}
