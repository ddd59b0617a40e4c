// What the benchmark of the reprocessor found, for people.
import { aligned, counted, medianOf } from "../report.ts";
import type { ReprocessFigures } from "./reprocess.ts";

export function reprocessText({ speeds, yielding }: ReprocessFigures): string {
  const rows = [...new Set(speeds.map(({ workers }) => workers))].map((workers) => {
    const rounds = speeds.filter((speed) => speed.workers === workers);
    const live = medianOf(rounds.map((speed) => speed.live));
    const reprocess = medianOf(rounds.map((speed) => speed.reprocess));
    const name = `${String(workers)} ${workers === 1 ? "worker" : "workers"}`;
    return [name, counted(live), counted(reprocess), `${(reprocess / live).toFixed(2)}x`];
  });
  const { liveRate, lagLimitMs, liveLagMs, perSecond, records, throttledLooks, looks } = yielding;
  return [
    "records/s, medians of the rounds; live and run alone on the machine, over the same input",
    ...aligned([["map", "live", "reprocess", ""], ...rows]),
    "",
    `Beside a live pipeline that reads ${counted(liveRate)}/s: ${counted(records)} records at ${counted(perSecond)}/s,`,
    `live lag at most ${counted(liveLagMs)} ms of ${counted(lagLimitMs)} allowed, held back in ${String(throttledLooks)} of ${String(looks)} looks`,
  ].join("\n");
}
