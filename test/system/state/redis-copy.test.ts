// The contract of a StateCopy, on a real Redis.
import { redisCopies } from "../../../src/engine/clients/redis/copies.ts";
import { systemRandom } from "../../../src/engine/runtime/host/system.ts";
import { stateCopyContract } from "../../contract/state-copy.ts";
import { sharedStack } from "../../support/stack.ts";

stateCopyContract("in Redis", async () => {
  const { REDIS_URL: url } = await sharedStack();
  return {
    copies: () => redisCopies({ url, random: systemRandom }),
    close: () => Promise.resolve(),
  };
});
