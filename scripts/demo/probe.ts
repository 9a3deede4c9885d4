// Reachability from inside a pod without any tool in it: `serve` answers TCP connections on every address,
// `check ADDRESS...` connects to each and prints one JSON line {address: milliseconds, or null}.
const PORT = 7;
const WAIT_MS = 2000;

function serve(): void {
  Bun.listen({
    hostname: '0.0.0.0',
    port: PORT,
    socket: {
      data(socket, bytes) {
        socket.end(bytes);
      },
    },
  });
  console.log('ready');
}

/** The time of one connection with an echo, in milliseconds, or null when there was none in time. */
async function reach(address: string): Promise<number | null> {
  const begin = performance.now();
  const answered = Promise.withResolvers<number | null>();
  const timer = setTimeout(() => answered.resolve(null), WAIT_MS);
  const connecting = Bun.connect({
    hostname: address,
    port: PORT,
    socket: {
      open: (socket) => void socket.write('?'),
      data: () => answered.resolve(performance.now() - begin),
      error: () => answered.resolve(null),
      connectError: () => answered.resolve(null),
    },
  }).catch(() => answered.resolve(null));
  const result = await answered.promise;
  clearTimeout(timer);
  await connecting;
  return result;
}

async function check(addresses: string[]): Promise<void> {
  const times: Record<string, number | null> = {};
  for (const address of addresses) times[address] = await reach(address);
  console.log(JSON.stringify(times));
  process.exit(0);
}

const [verb, ...addresses] = Bun.argv.slice(2);
if (verb === 'serve') serve();
else void check(addresses);
