// The names of plugins that the original needed beside `multi-nic`. Their work is done by the
// daemon now; the names stay so that tools and configurations which still have them find a plugin
// that says so, and so that pods of such a configuration can end.

import { DomainError } from '../../shared/model/errors.ts';
import { type CniCall, type CniCommandHandler, type CniOutcome, SILENT } from '../ports.ts';
import type { ProgramName } from '../program.ts';

type FormerName = Exclude<ProgramName, 'multi-nic'>;

/** What to do instead of an ADD under this name. */
const ADVICE: Readonly<Record<FormerName, string>> = {
  'multi-nic-ipam':
    'the multi-nic daemon chooses addresses and attaches in one step: set type to multi-nic; ' +
    'its ipam.type may stay multi-nic-ipam',
  'aws-ipvlan':
    'addresses of cloud interfaces are not assigned by this version: set type to multi-nic, and ' +
    'plugin.type to ipvlan or macvlan',
};

const ADVICE_ON_CHECK = 'what the original attached is not known under this name: recreate the pod';

/** What becomes of what the original attached under this name. */
const LEFT: Readonly<Record<FormerName, string>> = {
  'multi-nic-ipam': 'the daemon releases addresses that it took over when their pod is gone',
  'aws-ipvlan': 'an address that the original assigned in the cloud stays assigned there',
};

/**
 * A handler for everything but STATUS. Nothing is ever attached under this name: GC and DEL have
 * nothing to do and succeed, because a DEL that fails keeps its pod from ending. ADD and CHECK are
 * refused.
 */
export function formerName(program: FormerName): CniCommandHandler {
  return async (call, { log }): Promise<CniOutcome> => {
    const { requestId, network } = call;
    const { command, containerId, ifName } = call.environment;
    if (command === 'DEL') {
      const reason = `nothing is attached under the name ${program}; ${LEFT[program]}`;
      log.info('DEL has nothing to release', { requestId, network, containerId, ifName, reason });
    }
    if (command === 'DEL' || command === 'GC') return SILENT;
    throw refusal(program, call);
  };
}

function refusal(program: FormerName, { environment: { command } }: CniCall): DomainError {
  const message = `${program} does not handle ${command}: it is kept as a name only`;
  const advice = command === 'CHECK' ? ADVICE_ON_CHECK : ADVICE[program];
  const details = { advice, answers: 'VERSION, STATUS, GC and DEL' };
  return new DomainError('invalid-config', message, { details });
}
