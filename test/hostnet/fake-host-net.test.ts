// The in-memory host passes the suite that the kernel back ends pass.
import { describeHostNetContract } from './contract.ts';
import { createFakeLab } from './fake-lab.ts';

describeHostNetContract({
  name: 'in memory',
  kinds: [
    { kind: 'ipvlan', mode: 'l2' },
    { kind: 'ipvlan', mode: 'l3' },
    { kind: 'macvlan', mode: 'bridge' },
    { kind: 'macvlan', mode: 'passthru' },
  ],
  createLab: createFakeLab,
});
