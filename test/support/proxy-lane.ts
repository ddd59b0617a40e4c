// One direction of a proxied connection: bytes in their order, late, in small slices or at a trickle. However its speed
// is changed, nothing overtakes what came before it.
import type { Socket } from "node:net";

export interface Shape {
  readonly latencyMs: number;
  /** At most so many bytes at once; 0 is as they come. */
  readonly sliceBytes: number;
  /** 0 is without limit. */
  readonly bytesPerSecond: number;
}

export const plain: Shape = { latencyMs: 0, sliceBytes: 0, bytesPerSecond: 0 };

interface Piece {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

export class Lane {
  readonly #target: Socket;
  readonly #queue: Piece[] = [];
  #timer: NodeJS.Timeout | null = null;
  #lastDueMs = 0;

  constructor(target: Socket) {
    this.#target = target;
  }

  /** Returns how many pieces the bytes were made into; 0 when they passed as they were. */
  push(bytes: Buffer, shape: Shape): number {
    if (this.#queue.length === 0 && shape === plain) {
      this.#write(bytes);
      return 0;
    }
    const slices = sliced(bytes, shape.sliceBytes);
    const now = performance.now();
    for (const slice of slices) {
      const takesMs =
        shape.bytesPerSecond === 0 ? 0 : (slice.length * 1_000) / shape.bytesPerSecond;
      this.#lastDueMs = Math.max(this.#lastDueMs + takesMs, now + shape.latencyMs);
      this.#queue.push({ bytes: slice, dueMs: this.#lastDueMs });
    }
    this.#wait();
    return slices.length;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #wait(): void {
    if (this.#timer !== null) return;
    const [next] = this.#queue;
    if (next === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.#deliver();
        this.#wait();
      },
      Math.max(0, next.dueMs - performance.now()),
    );
  }

  /** Each piece is a write of its own: a socket without delay sends it as one. */
  #deliver(): void {
    const now = performance.now();
    while ((this.#queue[0]?.dueMs ?? Infinity) <= now) {
      const piece = this.#queue.shift();
      if (piece !== undefined) this.#write(piece.bytes);
    }
  }

  #write(bytes: Buffer): void {
    if (this.#target.writable) this.#target.write(bytes);
  }
}

function sliced(bytes: Buffer, most: number): readonly Buffer[] {
  if (most === 0 || bytes.length <= most) return [bytes];
  const slices: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += most) slices.push(bytes.subarray(at, at + most));
  return slices;
}
