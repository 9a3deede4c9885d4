// Structured logging: one JSON object per line on stderr. Uses no node:* module, so that the CNI
// executable can load it without paying for any. Which facts to log, and where an error is handled,
// is the caller's matter.

/** From the most to the least important; a logger prints its own level and everything before it. */
export const LOG_LEVELS = ['error', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Facts of one line. Errors are flattened; bigint becomes text; nothing else is interpreted. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  /** `msg` is a constant; everything that varies is a field. */
  error(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  debug(msg: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each of its lines. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Name of the program or part, printed as `component`. */
  readonly component: string;
  readonly level?: LogLevel;
  /** Takes one finished line without its line break. Default: stderr. */
  readonly write?: (line: string) => void;
  /** Wall clock in ms, for tests. */
  readonly now?: () => number;
}

/** Longest line that is written; a longer one keeps its head fields only. */
const LINE_CHARS_MAX = 16_384;
const CAUSES_MAX = 8;
const SECRET_KEY = /^(authorization|token|password|client-?key(-?data)?)$/i;

/** Reads a level as found in an environment variable; anything unknown is `info`. */
export function parseLogLevel(text: string | undefined): LogLevel {
  const wanted = text?.trim().toLowerCase();
  return LOG_LEVELS.find((level) => level === wanted) ?? 'info';
}

export function createLogger(options: LoggerOptions): Logger {
  const sink: Sink = {
    rank: LOG_LEVELS.indexOf(options.level ?? 'info'),
    write: options.write ?? ((line) => console.error(line)),
    now: options.now ?? Date.now,
  };
  return loggerWith(sink, { component: options.component });
}

interface Sink {
  readonly rank: number;
  readonly write: (line: string) => void;
  readonly now: () => number;
}

function loggerWith(sink: Sink, bound: LogFields): Logger {
  const at = (level: LogLevel) => (msg: string, fields?: LogFields) => {
    if (LOG_LEVELS.indexOf(level) > sink.rank) return;
    sink.write(formatLine({ time: new Date(sink.now()).toISOString(), level, msg }, bound, fields));
  };
  return {
    error: at('error'),
    info: at('info'),
    debug: at('debug'),
    child: (fields) => loggerWith(sink, { ...bound, ...fields }),
  };
}

function formatLine(head: Record<string, string>, bound: LogFields, fields?: LogFields): string {
  // The head is written last so that no field can replace `time`, `level` or `msg`, yet stands
  // first in the line.
  const line = toJson({ ...head, ...bound, ...flattenError(fields), ...head });
  if (line.length <= LINE_CHARS_MAX) return line;
  return toJson({ ...head, ...bound, truncatedChars: line.length });
}

/** An `error` field becomes `error` (message with its causes) and `errorKind`. */
function flattenError(fields: LogFields | undefined): LogFields | undefined {
  const error = fields?.error;
  if (!(error instanceof Error)) return fields;
  const kind = 'kind' in error ? error.kind : error.name;
  return { ...fields, error: messageWithCauses(error), errorKind: kind };
}

/** `message: cause: cause`, as far as the chain goes; what was said already is not repeated. */
export function messageWithCauses(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; current !== undefined && current !== null && depth < CAUSES_MAX; depth++) {
    const text = current instanceof Error ? current.message : String(current);
    if (!parts.some((part) => part.includes(text))) parts.push(text);
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(': ');
}

function toJson(value: unknown): string {
  try {
    return JSON.stringify(value, replaceUnprintable);
  } catch (error) {
    return JSON.stringify({ level: 'error', msg: 'log line not printable', error: String(error) });
  }
}

function replaceUnprintable(key: string, value: unknown): unknown {
  if (SECRET_KEY.test(key)) return '[redacted]';
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return messageWithCauses(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return value;
}
