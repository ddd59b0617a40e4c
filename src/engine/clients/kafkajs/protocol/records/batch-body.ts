// The records of a batch as bytes, decompressed when they are wanted. While other batches need the memory they are
// dropped, and made again later.
import type { BatchError } from "../../../../core/errors.ts";
import { decoderOf } from "../codecs/compression.ts";
import { TooLarge } from "../codecs/output.ts";
import type { BatchBounds } from "./batch-bounds.ts";
import { headBytes, unreadable, type BatchHead } from "./batch-head.ts";

const uncompressed = 0;

export class BatchBody {
  readonly #head: BatchHead;
  readonly #bounds: BatchBounds;
  #made: Buffer | null = null;

  constructor(head: BatchHead, bounds: BatchBounds) {
    this.#head = head;
    this.#bounds = bounds;
  }

  /** Throws a BatchError. */
  get bytes(): Buffer {
    const { codec, body, count } = this.#head;
    if (codec === uncompressed || count === 0) return body;
    if (this.#made !== null) return this.#made;
    const made = this.#decompress();
    this.#made = made;
    this.#bounds.opened(this);
    return made;
  }

  get isCompressed(): boolean {
    return this.#head.codec !== uncompressed;
  }

  get byteLength(): number {
    return this.#made?.length ?? 0;
  }

  drop(): void {
    this.#made = null;
  }

  close(): void {
    this.#bounds.closed(this);
    this.drop();
  }

  #decompress(): Buffer {
    const { at, codec, body } = this.#head;
    const decoder = decoderOf(codec);
    if (decoder === null)
      throw unreadable("MILL_BATCH_FORMAT", this.#head, `its codec ${String(codec)} is not known`);
    const { bytesMax, setting } = this.#bounds.of(at.topic, body.length + headBytes);
    try {
      return decoder(body, bytesMax);
    } catch (error) {
      throw this.#named(error, `${String(bytesMax)} bytes, the bound by ${setting}`);
    }
  }

  #named(error: unknown, bound: string): BatchError {
    const { body } = this.#head;
    return error instanceof TooLarge
      ? unreadable(
          "MILL_BATCH_TOO_LARGE",
          this.#head,
          `${String(body.length)} compressed bytes become more than ${bound}`,
        )
      : unreadable("MILL_BATCH_CORRUPT", this.#head, "it cannot be decompressed", error);
  }
}
