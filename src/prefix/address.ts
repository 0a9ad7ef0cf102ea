/** What an address is. prefixes.ts reads them. */
export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  /** 4 or 16 bytes, in network order. */
  readonly bytes: Uint8Array;
  readonly text: string;
}
