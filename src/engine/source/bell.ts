// What the owner of an inbox sleeps on: rung when records come, nudged when there is something else to do. One sleeps at a time.
export class Bell {
  #wake: (() => void) | null = null;
  #isNudged = false;

  ring(): void {
    this.#wake?.();
  }

  nudge(): void {
    this.#isNudged = true;
    this.ring();
  }

  /** Whether somebody has nudged since the last look. */
  takeNudge(): boolean {
    const isNudged = this.#isNudged;
    this.#isNudged = false;
    return isNudged;
  }

  /** Until the next ring. */
  sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null;
        resolve();
      };
    });
  }
}
