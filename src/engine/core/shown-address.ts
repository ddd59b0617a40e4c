// Addresses as they may be shown. A password may be in the user part, in a parameter, or anywhere in an address that was
// mistyped, so only the parts that are known to be harmless are shown, and everything else is hidden. Pure.

/** The text in place of a secret. */
export const HIDDEN = "***";

const SCHEME =
  /^(?:jdbc:)?(?:postgres|postgresql|rediss?|https?|kafka|plaintext|ssl|sasl_plaintext|sasl_ssl):\/\//i;
const HOST = "(?:[\\w.-]+|\\[[\\da-f:.]+\\])(?::\\d{1,5})?";
/** Hosts, path, parameters and fragment. */
const HARMLESS = new RegExp(
  `^((?:${HOST})?(?:, ?${HOST})*)(/[\\w.~/-]*)?(\\?[^#]*)?(#[^]*)?$`,
  "i",
);

/** Before an @: nobody can say whether what is behind it is a host, or the rest of a secret. */
const UNCLEAR = /[/?#;\s]/;

/** Parameters that say how to connect: their values are no secrets. */
const HARMLESS_PARAMETERS: ReadonlySet<string> = new Set([
  ...["application_name", "channel_binding", "client_encoding", "connect_timeout", "db", "dbname"],
  ...["family", "host", "hostaddr", "keepalives", "port", "sslmode", "sslnegotiation", "sslcert"],
  ...["sslkey", "sslrootcert", "ssl", "target_session_attrs", "tls", "user", "username"],
]);

/**
 * The address without its login, without the values of parameters that may be secrets, and without what is no part of an
 * address.
 *
 * @example shownAddress("postgres://me:secret@db:5432/shop?sslpassword=s") // "postgres://***@db:5432/shop?sslpassword=***"
 */
export function shownAddress(address: string): string {
  const { scheme, login, parts } = cut(address, SCHEME);
  if (parts === null) return `${scheme}${HIDDEN}`;
  const [, hosts = "", path = "", query = "", fragment = ""] = parts;
  const before = login === null ? scheme : `${scheme}${HIDDEN}@`;
  // A lone word may be anything.
  if (before === "" && !hosts.includes(":")) return HIDDEN;
  return `${before}${hosts}${path}${shownQuery(query)}${fragment === "" ? "" : `#${HIDDEN}`}`;
}

interface CutAddress {
  readonly scheme: string;
  readonly login: string | null;
  readonly rest: string;
  /** Null for what is no address. */
  readonly parts: RegExpExecArray | null;
}

function cut(address: string, schemes: RegExp): CutAddress {
  const text = address.trim();
  const [scheme = ""] = schemes.exec(text) ?? [];
  // A password may contain an @ of its own.
  const at = text.lastIndexOf("@");
  const login = at < scheme.length ? null : text.slice(scheme.length, at);
  const rest = text.slice(Math.max(at + 1, scheme.length));
  const isClear = login === null || !UNCLEAR.test(login);
  return { scheme, login, rest, parts: isClear ? HARMLESS.exec(rest) : null };
}

const shownQuery = (query: string): string =>
  query === "" ? "" : `?${query.slice(1).split(/[&;]/).map(shownPair).join("&")}`;

function shownPair(pair: string): string {
  const at = pair.indexOf("=");
  const name = pair.slice(0, Math.max(at, 0));
  if (!/^[a-z_-]{1,40}$/i.test(name)) return HIDDEN;
  return isHarmless(name, pair.slice(at + 1)) ? pair : `${name}=${HIDDEN}`;
}

const isHarmless = (name: string, value: string): boolean =>
  HARMLESS_PARAMETERS.has(name.toLowerCase()) && /^[\w.,:/-]*$/.test(value);

const IN_TEXT = /[a-z][a-z0-9+._-]{0,20}:\/\/[^\s"'<>]+/gi;
const PARAMETER = /([?&;])([^=&;?\s]+)=([^&;\s]*)/g;

/** A text in which every address has lost its login and its secret parameters; the rest stays. */
export const withoutLogins = (text: string): string => text.replace(IN_TEXT, withoutLogin);

function withoutLogin(address: string): string {
  const login = address.lastIndexOf("@");
  const scheme = address.slice(0, address.indexOf("://") + 3);
  const rest = login < 0 ? address : `${scheme}${HIDDEN}@${address.slice(login + 1)}`;
  return rest.replace(PARAMETER, (pair, mark: string, name: string, value: string) =>
    isHarmless(name, value) ? pair : `${mark}${name}=${HIDDEN}`,
  );
}

interface AddressParts {
  /** User, hosts and path: they may appear anywhere. */
  readonly open: readonly string[];
  readonly secret: readonly string[];
  /** "user:password", as it is sent. */
  readonly logins: readonly string[];
}

/** The parts of an address, or of a list of brokers, so that they can be found in other texts. */
export function partsOf(address: string): AddressParts {
  const text = address.trim();
  const all = [text, ...(text.includes(",") ? text.split(",") : [])].map(partsOfOne);
  return {
    open: all.flatMap(({ open }) => open),
    secret: all.flatMap(({ secret }) => secret),
    logins: all.flatMap(({ logins }) => logins),
  };
}

function partsOfOne(text: string): AddressParts {
  const { scheme, login: given, rest, parts } = cut(text, /^[a-z][\w+.-]*:\/\//i);
  const isWord = scheme === "" && given === null && !rest.includes(":");
  const isMistyped = !rest.startsWith("/") && (isWord || parts === null);
  const [place = "", ...query] = rest.split(/[?#]/);
  const login = given === null ? nobody : loginOf(given);
  const secret = [...login.secret, ...query.join("&").split(/[&;]/).flatMap(secretOf)];
  return isMistyped
    ? { open: login.open, secret: [text, rest, ...secret], logins: login.logins }
    : { open: [...place.split(/[:/,\s]/), ...login.open], secret, logins: login.logins };
}

const nobody: AddressParts = { open: [], secret: [], logins: [] };

/** A login without a password is a token. */
function loginOf(text: string): AddressParts {
  const [user = "", ...others] = text.split(":");
  const password = others.join(":");
  if (password === "") return { open: [], secret: [text, user], logins: [text] };
  return { open: [user], secret: [text, password], logins: [text] };
}

const SECRET_PARAMETER = /pass|pw|secret|token|key|auth|sig|cred/i;

/** A number or a plain word under another name is found in many texts, and says nothing. */
function secretOf(pair: string): readonly string[] {
  const at = pair.indexOf("=");
  const [name, value] = [pair.slice(0, Math.max(at, 0)), pair.slice(at + 1)];
  if (isHarmless(name, value)) return [];
  const isWord = name !== "" && /^(\d*|[a-z_.-]*)$/i.test(value);
  return SECRET_PARAMETER.test(name) || (!isWord && value.length > 7) ? [value] : [];
}
