// The port of a stopped server is nobody else's: tests stop it and start it again.
import { expect, test } from 'bun:test';
import { holdPort } from './held-port.ts';
import { startApiServer } from './server.ts';

test('a server that is stopped keeps its port', async () => {
  const server = await startApiServer();
  const { url } = server;
  const asAnybody = { port: Number(new URL(url).port), isShared: false };
  await server.stop();
  expect(() => holdPort(asAnybody)).toThrow('cannot be held');
  server.start();
  expect(server.url).toBe(url);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  await server.close();
});
