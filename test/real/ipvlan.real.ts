// The netlink back end with ipvlan, in a virtual machine with a distribution kernel: the contract
// about links, and pods on two hosts that reach each other over every NIC. The cases are in
// guest/ipvlan.guest.ts.
import { requirement } from '../helpers/requirement.ts';
import { guestObstacle } from './guest/run-guest.ts';
import { testInGuest } from './guest/test-in-guest.ts';

if (requirement('ipvlan in a virtual machine', guestObstacle())) {
  testInGuest({
    title: 'the suite passes on a kernel with ipvlan',
    suite: './test/real/guest/ipvlan.guest.ts',
  });
}
