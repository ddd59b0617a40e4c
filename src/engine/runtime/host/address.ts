// Addresses in settings: URLs that their clients can use, and brokers. A client's own parser would throw in the middle of a start,
// with the password in its message.
import { z } from "zod";

export interface AddressForm {
  readonly protocols: RegExp;
  /** An example, for the message. */
  readonly form: string;
  readonly hasParameters?: boolean;
}

const MARK =
  'a "@" behind a "/", "?" or "#"; in a user, password or name these are written %40, %2F, %3F and %23';
const PERCENT =
  'a "%" without two hexadecimal digits behind it; in a user, password or name a percent sign is written %25';

export const address = ({ form, ...rules }: AddressForm): z.ZodType<string> =>
  z.string().check((context) => {
    const problem = problemIn(context.value, rules);
    if (problem === null) return;
    const message = problem === "" ? `expected ${form}` : `expected ${form}: it has ${problem}`;
    context.issues.push({ code: "custom", message, input: context.value });
  });

/** Empty: it is no such URL at all. */
function problemIn(
  text: string,
  { protocols, hasParameters = false }: Omit<AddressForm, "form">,
): string | null {
  // Before the parser, which takes such a mark in a host for another mistake.
  if (/%(?![0-9a-f]{2})/i.test(text)) return PERCENT;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !protocols.test(url.protocol)) return "";
  // The parser ends a login at the first of these marks, and takes the rest of a password for a path.
  const login = text.slice(text.indexOf("//") + 2, Math.max(0, text.lastIndexOf("@")));
  if (/[/?#]/.test(login)) return MARK;
  if (url.search !== "" && !hasParameters) return "parameters, which it cannot have";
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

const BROKER = /^(?:[\w.-]+|\[[\da-f:.]+\]):(\d{1,5})$/i;

export const brokers: z.ZodType<string[]> = z
  .string()
  .transform((text) => text.split(",").map((broker) => broker.trim()))
  .refine((all) => all.every(isBroker), {
    error:
      "expected host:port[,host:port], ports from 1 to 65535, without protocol and login (KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_*)",
  });

function isBroker(text: string): boolean {
  const port = Number(BROKER.exec(text)?.[1] ?? 0);
  return port >= 1 && port <= 65_535;
}
