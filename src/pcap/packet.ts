/** A packet of a capture, whatever the format of its file. */
export interface CapturedPacket {
  /** A LINKTYPE_ value; see linktypes.ts. */
  readonly linkType: number;
  /** Nanoseconds since 1970 as the capture has them, negative for earlier times; undefined where it has none. */
  readonly timestampNs: bigint | undefined;
  /** The frame, as far as it was captured. */
  readonly bytes: Uint8Array;
}
