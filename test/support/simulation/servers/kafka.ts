// The engine's own cluster in memory, which can be asked whether it is there.
import { MemoryKafka } from "../../../../src/engine/testing/memory-kafka.ts";

export class SimulatedKafka extends MemoryKafka {
  isAvailable = true;

  override setAvailable(isAvailable: boolean): void {
    this.isAvailable = isAvailable;
    super.setAvailable(isAvailable);
  }
}
