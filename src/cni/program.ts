// The names the executable is installed under, and what each of them is for.

/**
 * `multi-nic` does the work; the other two are names that older configurations and tools look for.
 */
export const PROGRAM_NAMES = ['multi-nic', 'multi-nic-ipam', 'aws-ipvlan'] as const;
export type ProgramName = (typeof PROGRAM_NAMES)[number];

/**
 * The program meant by argv[0] or the path of the executable; an unknown name is `multi-nic` under
 * another name.
 */
export function programOf(path: string): ProgramName {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return PROGRAM_NAMES.find((known) => known === name) ?? 'multi-nic';
}
