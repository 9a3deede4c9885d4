// Tells whether a path is the network namespace this process is in.

const OWN = '/proc/self/ns/net';

/** Compares device and inode; a path that cannot be looked at is not ours. */
export async function isOwnNetns(path: string): Promise<boolean> {
  const [own, other] = await Promise.all([identityOf(OWN), identityOf(path)]);
  return own !== undefined && own === other;
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await Bun.file(path).stat();
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
