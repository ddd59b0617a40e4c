// What stores sell by the hour.
import { postgresTable } from "#engine";
import { storeHourRow } from "../../schemas/types/store-hour-row.v1.ts";
export type { StoreHourRow } from "../../schemas/types/store-hour-row.v1.ts";

/** One row per store and hour. */
export const storeHours = postgresTable("store_hours", {
  row: storeHourRow,
  key: ["storeId", "hour"],
  description: "One row per store and hour: what it has sold.",
});
