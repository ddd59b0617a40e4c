// A planted fault of its own: a reader that meets a case without an end.
import { kindOf, type AnyKind } from "./kind.ts";

export const kinds: readonly AnyKind[] = [
  kindOf({
    ...{ name: "endless", codes: /^$/, weight: 1 },
    make: (draw) => draw.below(20),
    read(number: number) {
      while (number === 7);
      return "taken";
    },
  }),
];
