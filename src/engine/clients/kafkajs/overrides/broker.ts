// Correction to kafkajs' Broker: its socket being open counts as connected, even when the first request, which settles the
// protocol's versions, has failed. A frozen broker accepts sockets and answers nothing, so from then on every
// request to it failed with a plain Error, also when it had long gone on. Here it is connected when versions are settled.
import type { DriverCorrection } from "./driver.ts";

export interface BrokerClass {
  readonly prototype: {
    /** A function that throws until versions are settled; its name says so. */
    lookupRequest: { readonly name: string };
    isConnected: () => boolean;
  };
}

const UNSETTLED = "notInitializedLookup";

export function correctBroker({ prototype }: BrokerClass): DriverCorrection {
  const original = prototype.isConnected;
  function isConnected(this: BrokerClass["prototype"]): boolean {
    return this.lookupRequest.name !== UNSETTLED && original.call(this);
  }
  prototype.isConnected = isConnected;
  return { name: "Broker.isConnected", isInPlace: () => prototype.isConnected === isConnected };
}
