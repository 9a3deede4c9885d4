// The rows of plans: JSON values by kind and name. What is in them is for their owners to check.
import type { Database } from 'bun:sqlite';

/** What is saved for starts without an API server, and which pools are known to be complete. */
export type PlanKind = 'network' | 'host' | 'class' | 'pool';

/** Reads the plans of one kind, by name. */
export function readPlans(db: Database, kind: PlanKind): Map<string, unknown> {
  const rows = db
    .query<{ name: string; body: string }, [string]>(
      'SELECT name, body FROM plans WHERE kind = ? ORDER BY name',
    )
    .all(kind);
  return new Map(rows.map((row) => [row.name, JSON.parse(row.body)]));
}

/** Writes a plan. */
export function putPlan(db: Database, o: { kind: PlanKind; name: string; body: unknown }): void {
  db.query(
    `INSERT INTO plans (kind, name, body) VALUES (?, ?, ?)
     ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body`,
  ).run(o.kind, o.name, JSON.stringify(o.body));
}

/** Writes the plans of one kind, and no others of that kind stay. */
export function replacePlans(
  db: Database,
  kind: PlanKind,
  plans: ReadonlyMap<string, unknown>,
): void {
  db.query('DELETE FROM plans WHERE kind = ?').run(kind);
  for (const [name, body] of plans) putPlan(db, { kind, name, body });
}
