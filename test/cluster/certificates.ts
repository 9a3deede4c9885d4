// X.509 certificates for the test cluster (RFC 5280, ECDSA P-256), so that nobody needs openssl.
// Valid for 30 days.

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A certificate with its key, both in PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate is to say. */
export interface CertificateRequest {
  readonly commonName: string;
  /** Kubernetes reads it as the group of the user. */
  readonly organization?: string;
  readonly usage: 'server' | 'client';
  readonly ipAddresses?: readonly string[];
  readonly dnsNames?: readonly string[];
}

/** An authority that signs certificates. */
export interface Authority extends Certificate {
  issue(request: CertificateRequest): Certificate;
}

const DAY_MS = 86_400_000;

const OID = {
  commonName: [2, 5, 4, 3],
  organization: [2, 5, 4, 10],
  ecdsaWithSha256: [1, 2, 840, 10045, 4, 3, 2],
  subjectKeyIdentifier: [2, 5, 29, 14],
  keyUsage: [2, 5, 29, 15],
  subjectAltName: [2, 5, 29, 17],
  basicConstraints: [2, 5, 29, 19],
  authorityKeyIdentifier: [2, 5, 29, 35],
  extendedKeyUsage: [2, 5, 29, 37],
  serverAuth: [1, 3, 6, 1, 5, 5, 7, 3, 1],
  clientAuth: [1, 3, 6, 1, 5, 5, 7, 3, 2],
};

/** Makes a new authority. */
export function createAuthority(commonName: string): Authority {
  const keys = newKeys();
  const name = distinguishedName({ commonName });
  const identifier = keyIdentifier(keys.publicKey);
  const extensions = [
    extension(OID.basicConstraints, sequence(boolean(true)), { critical: true }),
    extension(OID.keyUsage, tlv(0x03, [1, 0b0000_0110]), { critical: true }), // signs
    extension(OID.subjectKeyIdentifier, tlv(0x04, identifier)),
  ];
  const own = { subject: name, publicKey: keys.publicKey, extensions };
  return {
    certificate: signCertificate({ ...own, issuer: name, signer: keys.privateKey }),
    key: pemOf(keys.privateKey),
    issue: (request) => issueCertificate(request, { name, identifier, signer: keys.privateKey }),
  };
}

/** A private key in PEM with which the API server signs the tokens of service accounts. */
export function createSigningKey(): string {
  return pemOf(newKeys().privateKey);
}

function issueCertificate(
  request: CertificateRequest,
  authority: { name: Uint8Array; identifier: Uint8Array; signer: KeyObject },
): Certificate {
  const keys = newKeys();
  const usage = request.usage === 'server' ? OID.serverAuth : OID.clientAuth;
  const names = [
    ...(request.dnsNames ?? []).map((name) => tlv(0x82, new TextEncoder().encode(name))),
    ...(request.ipAddresses ?? []).map((address) => tlv(0x87, address.split('.').map(Number))),
  ];
  const extensions = [
    extension(OID.keyUsage, tlv(0x03, [7, 0b1000_0000]), { critical: true }), // digital signature
    extension(OID.extendedKeyUsage, sequence(objectIdentifier(usage))),
    extension(OID.authorityKeyIdentifier, sequence(tlv(0x80, authority.identifier))),
    ...(names.length > 0 ? [extension(OID.subjectAltName, sequence(...names))] : []),
  ];
  const certificate = signCertificate({
    subject: distinguishedName(request),
    issuer: authority.name,
    publicKey: keys.publicKey,
    extensions,
    signer: authority.signer,
  });
  return { certificate, key: pemOf(keys.privateKey) };
}

function signCertificate(o: {
  subject: Uint8Array;
  issuer: Uint8Array;
  publicKey: KeyObject;
  extensions: readonly Uint8Array[];
  signer: KeyObject;
}): string {
  const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive and of full length
  const now = Date.now();
  const content = sequence(
    tlv(0xa0, tlv(0x02, [2])), // version 3
    tlv(0x02, serial),
    algorithm,
    o.issuer,
    sequence(time(now - DAY_MS), time(now + 30 * DAY_MS)),
    o.subject,
    o.publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...o.extensions)),
  );
  const signature = sign('sha256', content, o.signer);
  const der = sequence(content, algorithm, tlv(0x03, [0, ...signature]));
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function newKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'sec1', format: 'pem' }).toString();
}

function keyIdentifier(key: KeyObject): Uint8Array {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20);
}

function distinguishedName(o: { commonName: string; organization?: string }): Uint8Array {
  const part = (oid: readonly number[], text: string): Uint8Array =>
    tlv(0x31, sequence(objectIdentifier(oid), tlv(0x0c, new TextEncoder().encode(text))));
  const organization = o.organization === undefined ? [] : [part(OID.organization, o.organization)];
  return sequence(...organization, part(OID.commonName, o.commonName));
}

function extension(
  oid: readonly number[],
  value: Uint8Array,
  o: { critical?: boolean } = {},
): Uint8Array {
  const critical = o.critical === true ? [boolean(true)] : [];
  return sequence(objectIdentifier(oid), ...critical, tlv(0x04, value));
}

/** One DER element: tag, length in its shortest form, content. */
function tlv(tag: number, content: Uint8Array | readonly number[]): Uint8Array {
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return new Uint8Array([tag, ...length, ...content]);
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return tlv(
    0x30,
    parts.flatMap((part) => [...part]),
  );
}

function boolean(value: boolean): Uint8Array {
  return tlv(0x01, [value ? 0xff : 0]);
}

/** UTCTime, which RFC 5280 wants for years before 2050. */
function time(atMs: number): Uint8Array {
  const text = new Date(atMs).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tlv(0x17, new TextEncoder().encode(`${text}Z`));
}

/**
 * The first two numbers share one byte; each further one is in groups of 7 bits, all but the last
 * marked.
 */
function objectIdentifier(numbers: readonly number[]): Uint8Array {
  const [first = 0, second = 0, ...rest] = numbers;
  const groups = rest.flatMap((number) => {
    const bytes = [number & 127];
    for (let left = number >> 7; left > 0; left >>= 7) bytes.unshift((left & 127) | 128);
    return bytes;
  });
  return tlv(0x06, [first * 40 + second, ...groups]);
}
