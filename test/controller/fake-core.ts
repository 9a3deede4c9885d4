// Address division by bigint, as an oracle for plans: slow, obvious, and independent of the WASM
// core.
import { addressBits } from '../../src/shared/model/ip/address.ts';
import { type Cidr, containsCidr, overlapsCidr } from '../../src/shared/model/ip/cidr.ts';

export const naiveCore = {
  subnetAt(parent: Cidr, index: number, bits: number) {
    const prefix = parent.prefix + bits;
    if (prefix > addressBits[parent.family]) return { ok: false as const };
    if (index < 0 || index >= 2 ** bits) return { ok: false as const };
    const size = BigInt(addressBits[parent.family] - prefix);
    const base = parent.base + (BigInt(index) << size);
    return { ok: true as const, cidr: { family: parent.family, base, prefix } };
  },
  isCovered(block: Cidr, excludes: readonly Cidr[]): boolean {
    return excludes.some((exclude) => containsCidr(exclude, block));
  },
  overlaps: overlapsCidr,
};
