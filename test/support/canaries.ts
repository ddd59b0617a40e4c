// Values that must never be said: collected where data is made, and looked for in what processes say. An id counts only
// where no letter or digit touches it, since random ids of other things may hold the same few characters.

/** Those of the values that stand in the text. */
export function saidIn(text: string, values: Iterable<string>): string[] {
  return [...new Set(values)].filter((value) => stands(text, value));
}

function stands(text: string, value: string): boolean {
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
    const around = [text[at - 1] ?? "", text[at + value.length] ?? ""];
    if (!around.some((letter) => /[0-9A-Za-z]/.test(letter))) return true;
  }
  return false;
}

/** Every different line that a text ever had: a page that is read again and again is kept once. */
export class Lines {
  readonly #lines = new Set<string>();

  add(text: string): void {
    for (const line of text.split("\n")) this.#lines.add(line);
  }

  get text(): string {
    return [...this.#lines].join("\n");
  }

  get count(): number {
    return this.#lines.size;
  }
}
