// What the demo prints: steps with their time, tables, and colours on a terminal only.

const coloured = process.stdout.isTTY === true && Bun.env.NO_COLOR === undefined;
const paint = (code: number) => (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);

/** Prints what is being done, runs it and adds how long it took. The error of a failed step is passed on. */
export async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const begin = performance.now();
  process.stdout.write(`${title} ... `);
  try {
    const result = await work();
    console.log(`${green('ok')} ${dim(`${((performance.now() - begin) / 1000).toFixed(1)} s`)}`);
    return result;
  } catch (error) {
    console.log(red('failed'));
    throw error;
  }
}

/** A heading over what follows. */
export function heading(text: string): void {
  console.log(`\n${bold(text)}`);
}

const visible = (text: string): number => Bun.stringWidth(text);

/** A table with columns as wide as their widest cell; cells may be coloured. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, column) =>
    Math.max(visible(title), ...rows.map((row) => visible(row[column] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - visible(cell))).join('  ');
  console.log(`  ${dim(line(header)).trimEnd()}`);
  for (const row of rows) console.log(`  ${line(row).trimEnd()}`);
}
