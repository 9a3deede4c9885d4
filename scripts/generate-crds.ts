// Writes deploy/crds from the schemas in src/shared/model/objects: one file per kind. Files of
// kinds that are gone are removed. `--check` writes nothing and fails if a file would change.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { renderCrds } from './crd/definition.ts';

const folder = join(import.meta.dir, '..', 'deploy', 'crds');
const isCheck = process.argv.includes('--check');
const files = renderCrds();
const changed: string[] = [];

for (const [name, content] of files) {
  const file = Bun.file(join(folder, name));
  const stored = (await file.exists()) ? await file.text() : '';
  if (stored === content) continue;
  changed.push(name);
  if (!isCheck) await Bun.write(file, content);
}
for (const name of readdirSync(folder)) {
  if (files.has(name)) continue;
  changed.push(name);
  if (!isCheck) rmSync(join(folder, name));
}
if (isCheck && changed.length > 0) {
  console.error(
    `deploy/crds is not what the schemas give; run make generate: ${changed.join(', ')}`,
  );
  process.exit(1);
}
