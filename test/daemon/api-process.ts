// The embedded API server as a process of its own, so that it can live in the namespace of a
// simulated host. Reads the objects to start with from a file; prints its URL; ends with its stdin.
import { readFileSync } from 'node:fs';
import { startCluster } from './cluster.ts';

const [path = ''] = Bun.argv.slice(2);
const objects: unknown = JSON.parse(readFileSync(path, 'utf8'));
if (!Array.isArray(objects)) throw new TypeError(`${path} is no list of objects`);
const api = await startCluster(objects);
console.log(api.url);
for await (const _chunk of Bun.stdin.stream()) {
  // Nothing is said on stdin; its end is the parent's.
}
await api.close();
