// Discovery on a real sysfs: a virtual machine with NICs of three models on two NUMA nodes. The
// case is in guest/discovery.guest.ts.
import { requirement } from '../helpers/requirement.ts';
import { guestObstacle } from './guest/run-guest.ts';
import { testInGuest } from './guest/test-in-guest.ts';

if (requirement('discovery in a virtual machine', guestObstacle())) {
  testInGuest({
    title: 'the suite passes with real NICs',
    suite: './test/real/guest/discovery.guest.ts',
    nics: [
      { model: 'e1000e', numaNode: 0 },
      { model: 'vmxnet3', numaNode: 0 },
      { model: 'e1000e', numaNode: 1 },
      { model: 'virtio-net-pci', numaNode: 1 },
    ],
  });
}
