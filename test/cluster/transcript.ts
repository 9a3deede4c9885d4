// What a user of the cluster types and sees, kept as it was: the install section of the README is
// such a file.

import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './command.ts';
import { findPeers } from './peers.ts';
import { MANIFESTS } from './product.ts';
import { ADMIN_ENVIRONMENT, STATE } from './settings.ts';

const FOLDER = join(STATE, 'transcript');

/** Commands with what they printed, in their order. */
export class Transcript {
  readonly #parts: string[] = [];

  /** Puts a file where the commands run; `deploy` is there from the beginning. */
  async writeFile(name: string, object: object): Promise<void> {
    await Bun.write(join(FOLDER, name), `${JSON.stringify(object, null, 2)}\n`);
  }

  /**
   * Runs a shell command as the administrator and returns what it printed; throws CommandError if
   * it fails. With `linesMax` the transcript has no more lines of it than that, and their number.
   */
  async type(command: string, o: { linesMax?: number } = {}): Promise<string> {
    this.#prepare();
    const folder = dirname((await findPeers()).outside('kubectl'));
    const output = await run(['sh', '-ec', command], {
      folder: FOLDER,
      env: { ...ADMIN_ENVIRONMENT, PATH: `${folder}:${process.env.PATH}` },
      timeoutMs: 120_000,
    });
    const lines = output.trimEnd().split('\n');
    const shown = lines.slice(0, o.linesMax);
    const more = lines.length > shown.length ? [`[${lines.length - shown.length} more lines]`] : [];
    this.#parts.push([`$ ${command}`, ...shown, ...more].map((line) => line.trimEnd()).join('\n'));
    return output;
  }

  /** Everything so far. */
  toString(): string {
    return `${this.#parts.join('\n\n')}\n`;
  }

  #prepare(): void {
    if (this.#parts.length > 0) return;
    cpSync(MANIFESTS, join(FOLDER, 'deploy'), { recursive: true });
  }
}
