// Recognises requests of Kafka's protocol as they pass a proxy, by the API key in their header.
import { apiKeys, type Api } from "../../support/fault-sockets.ts";

/** Whether these bytes begin with such a request; a request is written at once, so they do where one passes. */
export const isRequest =
  (api: Api) =>
  (bytes: Buffer): boolean => {
    // Several requests may lie in one piece.
    for (let at = 0; at + 6 <= bytes.length; at += 4 + bytes.readInt32BE(at)) {
      if (bytes.readInt16BE(at + 4) === apiKeys[api]) return true;
      if (bytes.readInt32BE(at) <= 0) return false;
    }
    return false;
  };
