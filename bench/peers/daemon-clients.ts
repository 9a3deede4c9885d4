// Load for bench/daemon.bench.ts: so many clients, each sending one ADD after the other over the
// daemon's socket. Prints the seconds it took and the milliseconds of each request as JSON.

export {};

const [socket = '', clients = '1', requests = '1', template = '{}'] = Bun.argv.slice(2);
const total = Number(requests);
const latencies: number[] = [];
let next = 0;

async function work(): Promise<void> {
  for (let n = next; n < total; n = next) {
    next += 1;
    const start = performance.now();
    const response = await fetch('http://daemon/v1/cni', {
      unix: socket,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: template.replaceAll('NAME', `c${n}`),
    });
    const body = await response.text();
    if (response.status !== 200) throw new Error(body);
    latencies.push(performance.now() - start);
  }
}

const start = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, work));
const seconds = (performance.now() - start) / 1000;
console.log(JSON.stringify({ seconds, latencies }));
