// Works off the DELs that the executable left in a directory because the daemon was away. A file
// goes only after its DEL succeeded; what cannot be read is moved aside and reported, never lost.
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { issueTexts } from '../../shared/model/cni/network-config.ts';
import { CNI_REQUEST_BYTES_MAX, SpooledRequest } from '../../shared/model/daemon-api.ts';
import { DomainError } from '../../shared/model/errors.ts';
import type { Logger } from '../../shared/platform/log.ts';
import { NodeRequest } from '../attach/attach-config.ts';

const BAD = 'bad';
/** A request and the time at which it was put there. */
const FILE_BYTES_MAX = CNI_REQUEST_BYTES_MAX + 1_024;
/** Files worked off in one round; the rest waits for the next. */
const FILES_PER_ROUND_MAX = 1_000;
/** Files kept aside; the ones with the lowest names go first. */
const BAD_FILES_MAX = 100;

/** What one round did. `left` counts files whose DEL failed or that did not fit into the round. */
export interface SpoolRound {
  done: number;
  bad: number;
  left: number;
}

/** As SpooledRequest, but its configuration needs a name only, like every DEL's. */
const SpoolFile = v.strictObject({ ...SpooledRequest.entries, config: NodeRequest.entries.config });

/**
 * Does one spooled DEL. `spooledAtMs`: an attachment of that name that was made later is another
 * one and must stay.
 */
export type SpooledRelease = (
  request: NodeRequest,
  o: { readonly spooledAtMs: number },
) => Promise<unknown>;

/** The directory and what is done with its requests. */
export class Spool {
  readonly #directory: string;
  readonly #release: SpooledRelease;
  readonly #log: Logger;
  /** Uid that may own files: root's, or ours in tests. */
  readonly #ownerUid: number;
  #waiting = 0;
  /** Where the last round ended: those that keep failing must not keep others waiting. */
  #lastName = '';

  constructor(o: {
    directory: string;
    release: SpooledRelease;
    log: Logger;
    ownerUid: number;
  }) {
    this.#directory = o.directory;
    this.#release = o.release;
    this.#log = o.log;
    this.#ownerUid = o.ownerUid;
  }

  /** Files left by the last round. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Makes the directory, for root only. */
  prepare(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    chmodSync(this.#directory, 0o700);
  }

  /** Works off what is there. */
  async workOff(): Promise<SpoolRound> {
    const names = readdirSync(this.#directory)
      .filter((name) => name.endsWith('.json'))
      .sort();
    const round: SpoolRound = { done: 0, bad: 0, left: 0 };
    for (const name of this.#nextInTurn(names)) {
      round[await this.#workOffFile(name)] += 1;
      this.#lastName = name;
    }
    round.left += Math.max(0, names.length - FILES_PER_ROUND_MAX);
    this.#waiting = round.left;
    if (round.bad > 0) this.#trimBad();
    if (names.length > 0) this.#log.info('spool worked off', { ...round });
    return round;
  }

  #nextInTurn(names: readonly string[]): string[] {
    const start = Math.max(
      0,
      names.findIndex((name) => name > this.#lastName),
    );
    return [...names.slice(start), ...names.slice(0, start)].slice(0, FILES_PER_ROUND_MAX);
  }

  async #workOffFile(name: string): Promise<keyof SpoolRound> {
    const path = join(this.#directory, name);
    let file: v.InferOutput<typeof SpoolFile>;
    try {
      file = this.#parse(path);
    } catch (error) {
      return this.#moveAside(path, name, error) ? 'bad' : 'left';
    }
    const { spooledAt, ...request } = file;
    try {
      await this.#release(request, { spooledAtMs: Date.parse(spooledAt) });
    } catch (error) {
      this.#log.error('spooled DEL failed, will be repeated', { file: name, error });
      return 'left';
    }
    rmSync(path, { force: true });
    return 'done';
  }

  #moveAside(path: string, name: string, reason: unknown): boolean {
    try {
      mkdirSync(join(this.#directory, BAD), { recursive: true, mode: 0o700 });
      renameSync(path, join(this.#directory, BAD, name));
      this.#log.error('spool file moved aside', { file: name, error: reason });
      return true;
    } catch (error) {
      this.#log.error('spool file cannot be moved aside', { file: name, error });
      return false;
    }
  }

  #parse(path: string): v.InferOutput<typeof SpoolFile> {
    const stat = lstatSync(path);
    if (!stat.isFile()) throw new DomainError('decode-failed', 'not a regular file');
    if (stat.uid !== this.#ownerUid) {
      throw new DomainError('forbidden', `owned by user ${stat.uid}, not ${this.#ownerUid}`);
    }
    if (stat.size > FILE_BYTES_MAX) {
      throw new DomainError('decode-failed', `larger than ${FILE_BYTES_MAX} bytes`);
    }
    const parsed = v.safeParse(SpoolFile, JSON.parse(readFileSync(path, 'utf8')));
    if (parsed.success) return parsed.output;
    throw new DomainError('decode-failed', issueTexts(parsed.issues).join('; '));
  }

  #trimBad(): void {
    const folder = join(this.#directory, BAD);
    const names = readdirSync(folder).sort();
    for (const name of names.slice(0, Math.max(0, names.length - BAD_FILES_MAX))) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}
