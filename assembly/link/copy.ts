// Duplicates.

/** Whether a packet is a duplicate: of none, of one on this way, or of one on a way before. */
export const enum Copy {
  none,
  here,
  before,
}
