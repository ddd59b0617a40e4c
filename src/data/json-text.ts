// Any decoded value as JSON: decimals and bigints as texts, since a JSON number may lose their digits; bytes in Base64.
export const jsonText = (value: unknown): string => JSON.stringify(plain(value));

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(plain);
  if ("toJSON" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, plain(of)]));
}
