// The daemon as a process on the real kernel: pods get links, reach each other, and lose everything.
import { describe, expect, test } from 'bun:test';
import { addressesIn, cniRequest } from '../daemon/harness.ts';
import { RealNode } from '../daemon/real-node.ts';
import { netnsObstacle } from '../helpers/netns.ts';
import { requirement } from '../helpers/requirement.ts';

const obstacle = netnsObstacle();

if (requirement('daemon on the real kernel', obstacle)) {
  describe('daemon on the real kernel', () => {
    test('two pods get a link per NIC, reach each other, and are removed without a trace', async () => {
      await using node = await RealNode.create();
      const daemon = await node.start();
      expect(daemon.child.exitCode).toBeNull();
      const pods = ['a', 'b'].map((name) => ({ name, netns: node.addPod(name) }));
      const answers = [];
      for (const { name, netns } of pods) {
        answers.push(await node.send(cniRequest('ADD', { container: name, netns: netns.path })));
      }
      const [first] = pods;
      if (first === undefined) throw new Error('no pods');
      for (const address of answers.slice(1).flatMap(addressesIn)) {
        expect(node.world.ping(first.netns, address)).toBe(true);
      }
      for (const { name, netns } of pods) {
        expect(node.linksIn(netns)).toEqual(['net1-0', 'net1-1', 'net1-2']);
        const answer = await node.send(cniRequest('DEL', { container: name, netns: netns.path }));
        expect(answer.status).toBe(200);
        expect(node.linksIn(netns)).toEqual([]);
      }
      daemon.child.kill('SIGTERM');
      expect(await daemon.child.exited).toBe(0);
    });
  });
}
