// What the benchmark of the reprocessor found, for people.
import { aligned, counted, medianOf } from "../report.ts";
import type { ReprocessFigures, Speed } from "./reprocess.ts";

export function reprocessText({ speeds, yielding }: ReprocessFigures): string {
  const rows = [...new Set(speeds.map(({ workers }) => workers))].map((workers) => {
    const rounds = speeds.filter((speed) => speed.workers === workers);
    const median = (of: (speed: Speed) => number): number => medianOf(rounds.map(of));
    const live = median((speed) => speed.live);
    const reprocess = median((speed) => speed.reprocess);
    const liveCpu = median((speed) => speed.liveCpu);
    const reprocessCpu = median((speed) => speed.reprocessCpu);
    const name = `${String(workers)} ${workers === 1 ? "worker" : "workers"}`;
    return [
      name,
      ...[live, reprocess].map(counted),
      `${(reprocess / live).toFixed(2)}x`,
      ...[liveCpu, reprocessCpu].map(counted),
      `${(reprocessCpu / liveCpu).toFixed(2)}x`,
    ];
  });
  const { liveRate, lagLimitMs, liveLagMs, perSecond, records, throttledLooks, looks } = yielding;
  return [
    "records/s, medians of the rounds; live and run alone on the machine, over the same input",
    ...aligned([["map", "live", "reprocess", "", "live/CPU s", "reprocess/CPU s", ""], ...rows]),
    "",
    `Beside a live pipeline that reads ${counted(liveRate)}/s: ${counted(records)} records at ${counted(perSecond)}/s,`,
    `live lag at most ${counted(liveLagMs)} ms of ${counted(lagLimitMs)} allowed, held back in ${String(throttledLooks)} of ${String(looks)} looks`,
  ].join("\n");
}
