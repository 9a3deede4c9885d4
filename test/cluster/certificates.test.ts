// Certificates of the test cluster, read back by another implementation and used in a handshake.
import { expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { createAuthority } from './certificates.ts';

test('a certificate says what was asked for and is signed by its authority', () => {
  const authority = createAuthority('authority');
  const issued = authority.issue({
    commonName: 'server',
    organization: 'group',
    usage: 'server',
    ipAddresses: ['10.0.0.1'],
    dnsNames: ['kubernetes.default.svc'],
  });
  const read = new X509Certificate(issued.certificate);
  const issuer = new X509Certificate(authority.certificate);
  expect(read.subject).toBe('O=group\nCN=server');
  expect(read.subjectAltName).toBe('DNS:kubernetes.default.svc, IP Address:10.0.0.1');
  expect(issuer.ca).toBe(true);
  expect(read.ca).toBe(false);
  expect(read.verify(issuer.publicKey)).toBe(true);
  expect(read.checkIssued(issuer)).toBe(true);
  expect(Date.parse(read.validTo)).toBeGreaterThan(Date.now());
});

test('a server with such a certificate is trusted by who trusts the authority alone', async () => {
  const authority = createAuthority('authority');
  const { certificate, key } = authority.issue({
    commonName: 'server',
    usage: 'server',
    ipAddresses: ['127.0.0.1'],
  });
  using server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    tls: { cert: certificate, key },
    fetch: () => new Response('yes'),
  });
  const url = `https://127.0.0.1:${server.port}`;
  const answer = await fetch(url, { tls: { ca: authority.certificate } });
  expect(await answer.text()).toBe('yes');
  const stranger = createAuthority('stranger').certificate;
  await expect(fetch(url, { tls: { ca: stranger } })).rejects.toThrow();
});
