// Random settings with a secret in them: every place of an address that people put one, right or mistyped, and every
// setting that is a secret, in the environment or in a file.
import fc from "fast-check";

/** Begins all secrets, and is nowhere else. */
export const CANARY = "canary";

const marks = ["", "@", ":", "/", "?", "#", "%", " ", "&", "=", ",", "%2F", "%zz", '"', "\\", "é"];

/** A secret with marks that an address gives a meaning. */
export const secrets: fc.Arbitrary<string> = fc
  .tuple(fc.stringMatching(/^[a-z0-9]{6,12}$/), fc.constantFrom(...marks))
  .map(([text, mark]) => `${CANARY}${mark}${CANARY}-${text}`);

const parameters = ["password", "sslpassword", "passwd", "pwd", "token", "pass%77ord", "x", "key"];
const hosts = ["127.0.0.1:1", "h", "[::1]:1", "h:99999", ""];

type Shape = (secret: string, scheme: string, host: string) => string;
const shapes: readonly Shape[] = [
  (secret, scheme, host) => `${scheme}://u:${secret}@${host}/0`,
  (secret, scheme, host) => `${scheme}://:${secret}@${host}`,
  (secret, scheme, host) => `${scheme}://${secret}@${host}/d`,
  (secret, scheme, host) => `${scheme}://${secret}:@${host}/d`,
  (secret, scheme, host) => `${scheme}://u:${encodeURIComponent(secret)}@${host}/0`,
  (secret, scheme, host) => `${scheme}:/u:${secret}@${host}`,
  (secret, scheme, host) => `${scheme}:u:${secret}@${host}`,
  (secret, scheme, host) => `u:${secret}@${host}`,
  (secret, scheme, host) => `${host},u:${secret}@${host},${scheme}://u:${secret}@${host}`,
  (secret, scheme, host) => `${scheme}://u:${secret}:${host}`,
  (secret, scheme, host) => `SASL_SSL://${secret}@${host}, ${host}`,
  (secret, scheme, host) => `${scheme}://${host}/#${secret}`,
  (secret, scheme, host) => `${scheme}://${host};password=${secret}`,
  (secret) => `host=h password=${secret} dbname=d`,
  (secret) => `://${secret}`,
  (secret, scheme, host) => ` ${scheme}://u:${secret}@${host}\n`,
  ...parameters.map(
    (name): Shape =>
      (secret, scheme, host) =>
        `${scheme}://${host}/d?sslmode=disable&${name}=${encodeURIComponent(secret)}`,
  ),
];

export const addresses = (scheme: string): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...shapes), secrets, fc.constantFrom(...hosts))
    .map(([shape, secret, host]) => shape(secret, scheme, host));

/** The settings that are addresses, with their schemes. */
export const schemes = {
  KAFKA_BROKERS: "kafka",
  SCHEMA_REGISTRY_URL: "http",
  REDIS_URL: "redis",
  DATABASE_URL: "postgres",
} as const;

const secretNames = ["KAFKA_SASL_PASSWORD", "SCHEMA_REGISTRY_PASSWORD", "KAFKA_SSL_KEY"];

/** Every setting with a secret. A `_FILE` has the secret in the place of a path. */
export const environments: fc.Arbitrary<Readonly<Record<string, string>>> = fc
  .tuple(
    fc.record(
      Object.fromEntries(
        Object.entries(schemes).map(([name, scheme]) => [name, addresses(scheme)] as const),
      ),
    ),
    fc.record(Object.fromEntries(secretNames.map((name) => [name, secrets]))),
    fc.subarray([...Object.keys(schemes), ...secretNames]),
  )
  .map(([urls, others, inFiles]) =>
    Object.fromEntries(
      Object.entries({ ...urls, ...others }).map(([name, value]) => [
        inFiles.includes(name) ? `${name}_FILE` : name,
        value.replaceAll("\0", ""),
      ]),
    ),
  );

/** Whether the secret, or a part of it that says something, is in the text in some form. */
export const leaks = (text: string): boolean =>
  text.includes(CANARY) || text.includes(Buffer.from(CANARY).toString("base64").slice(0, 7));
