// Places inside the making of links where a test can have the process killed. Between them the
// kernel has links that are neither whole nor gone, which only a restart can clean up.

/** In the order of the states that they leave behind. */
export const LINK_FAULT_POINTS = [
  /** Links as older kernels have them for a moment: not yet named, down, without addresses. */
  'add-links-under-own-names',
  /** Links under their names, and up, without addresses. */
  'add-links-bare',
  /** Links with addresses, without their own routes. */
  'add-links-addressed',
] as const;
export type LinkFaultPoint = (typeof LINK_FAULT_POINTS)[number];

/** The part of the fault points that the making of links reaches. */
export interface LinkFaults {
  /** True if the process dies at `point`: what is one step otherwise is then done in two. */
  isActive(point: LinkFaultPoint): boolean;
  /** Does not return if `point` is active. */
  reach(point: LinkFaultPoint): void;
}
