// Addresses in settings: URLs that their clients can use, and brokers. A client's own parser would throw in the middle of a start,
// with the password in its message.
import { z } from "zod";

export interface AddressForm {
  readonly protocols: RegExp;
  /** An example, for the message. */
  readonly form: string;
}

const PERCENT =
  'a "%" without two hexadecimal digits behind it; in a user, password or name a percent sign is written %25';

export const address = ({ protocols, form }: AddressForm): z.ZodType<string> =>
  z.string().check((context) => {
    const problem = problemIn(context.value, protocols);
    if (problem === null) return;
    const message = problem === "" ? `expected ${form}` : `expected ${form}: it has ${problem}`;
    context.issues.push({ code: "custom", message, input: context.value });
  });

/** Empty: it is no such URL at all. */
function problemIn(text: string, protocols: RegExp): string | null {
  // Before the parser, which takes such a mark in a host for another mistake.
  if (/%(?![0-9a-f]{2})/i.test(text)) return PERCENT;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !protocols.test(url.protocol)) return "";
  return [url.username, url.password, url.pathname, url.hostname].every(isDecodable)
    ? null
    : "percent signs that stand for no UTF-8 text";
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

const BROKER = /^[^\s:,]+:(\d{1,5})$/;

export const brokers: z.ZodType<string[]> = z
  .string()
  .transform((text) => text.split(",").map((broker) => broker.trim()))
  .refine((all) => all.every(isBroker), {
    error: "expected host:port[,host:port], ports from 1 to 65535",
  });

function isBroker(text: string): boolean {
  const port = Number(BROKER.exec(text)?.[1] ?? 0);
  return port >= 1 && port <= 65_535;
}
