// The ledger of one network: which interface index each net address has and which host indices are
// given away. It is claimed by one conditional write before anything is published (design D6).
// The ConfigMap around it is the business of apply/ledger-store.ts.
import * as v from 'valibot';
import { LEDGER_KEY } from '../../shared/model/names.ts';
import type { Division } from '../../shared/model/plan/division.ts';
import { IndexSet } from './index-set.ts';

export interface LedgerNet {
  readonly netAddress: string;
  readonly interfaceIndex: number;
  readonly hosts: IndexSet;
}

export interface Ledger {
  /** UID of the network that the ledger was written for. */
  readonly networkUid: string;
  readonly division: Division | undefined;
  /** In the order in which the interface indices were given. */
  readonly nets: readonly LedgerNet[];
}

const LedgerJson = v.looseObject({
  networkUid: v.string(),
  division: v.optional(
    v.object({ subnet: v.string(), interfaceBits: v.number(), hostBits: v.number() }),
  ),
  nets: v.array(
    v.object({
      netAddress: v.string(),
      interfaceIndex: v.pipe(v.number(), v.integer(), v.minValue(0)),
      hosts: v.string(),
    }),
  ),
});

export type LedgerReading =
  | { readonly ok: true; readonly ledger: Ledger }
  | { readonly ok: false; readonly issue: string };

/** Reads the text of the ledger. What cannot be read is an issue, never an empty ledger. */
export function parseLedger(text: string | undefined): LedgerReading {
  if (text === undefined) return { ok: false, issue: `the key ${LEDGER_KEY} is missing` };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { ok: false, issue: error instanceof Error ? error.message : String(error) };
  }
  const parsed = v.safeParse(LedgerJson, json);
  if (!parsed.success) return { ok: false, issue: parsed.issues[0].message };
  const nets: LedgerNet[] = [];
  for (const net of parsed.output.nets) {
    const hosts = IndexSet.parse(net.hosts);
    if (hosts === undefined) return { ok: false, issue: `no bitmap for ${net.netAddress}` };
    nets.push({ ...net, hosts });
  }
  const { networkUid, division } = parsed.output;
  return { ok: true, ledger: { networkUid, division, nets } };
}

/** The text of a ledger; equal ledgers have equal texts. */
export function formatLedger(ledger: Ledger): string {
  return JSON.stringify({
    networkUid: ledger.networkUid,
    ...(ledger.division === undefined ? {} : { division: ledger.division }),
    nets: ledger.nets.map(({ netAddress, interfaceIndex, hosts }) => ({
      netAddress,
      interfaceIndex,
      hosts: hosts.toString(),
    })),
  });
}
