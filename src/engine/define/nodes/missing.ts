// The end of the prototype chain of streams. Types refuse a method that is not there; JavaScript, and a stream that is `any`,
// would only say "is not a function". Calling it says what there is, and where it is described.

import { callerSite } from "./graph.ts";

/** Names that others ask of any value, to find out what it is; a stream has none of them. */
const ASKED_OF_ANY = new Set(["then", "toJSON", "inspect", "nodeType", "asymmetricMatch", "kind"]);

/** `what` is the kind of stream: "a stream". Its methods are those of the prototype that it is put behind. */
export const saysWhatIsThere = (what: string, methods: () => readonly string[]): object =>
  new Proxy(Object.prototype, {
    get(target, name): unknown {
      if (typeof name === "symbol" || name in target || ASKED_OF_ANY.has(name))
        return Reflect.get(target, name);
      return () => {
        const there = methods().join(", ");
        throw new TypeError(
          `${callerSite()}  ${name} is not a method of ${what}, which has ${there}. docs/operators.md says what each does`,
        );
      };
    },
  });

/** Puts the answer behind a class. */
export function guide(what: string, { prototype }: { readonly prototype: object }): void {
  const methods = (): readonly string[] =>
    Object.getOwnPropertyNames(prototype).filter((name) => !INNER.has(name));
  Object.setPrototypeOf(prototype, saysWhatIsThere(what, methods));
}

/** Methods that pipelines do not call: an error does not list them. */
const INNER = new Set(["constructor", "next", "stream"]);
