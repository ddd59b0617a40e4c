// The contract of a StateCopy, on a real Redis.
import { dueIndexContract } from "../../contract/due-index.ts";
import { redisCopies } from "../../../src/engine/clients/redis/copies.ts";
import { systemRandom } from "../../../src/engine/runtime/host/system.ts";
import { stateCopyContract } from "../../contract/state-copy.ts";
import { sharedStack } from "../../support/stack.ts";

const fixture = async () => {
  const { REDIS_URL: url } = await sharedStack();
  return {
    copies: () => redisCopies({ url, random: systemRandom }),
    close: () => Promise.resolve(),
  };
};

stateCopyContract("in Redis", fixture);
dueIndexContract("in Redis", fixture);
