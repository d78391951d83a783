// Which period a time belongs to.

export const PERIOD_HOUR: u32 = 0;
export const PERIOD_DAY: u32 = 1;
export const PERIOD_WEEK: u32 = 2;
export const PERIOD_MONTH: u32 = 3;
/** One position a run, its children included. */
export const PERIOD_RUN: u32 = 4;
export const PERIOD_TOTAL: u32 = 5;
/** A rate limit, which refills all the time: by second or by minute. */
export const PERIOD_RATE: u32 = 6;

export const DAY_MS: f64 = 86400000.0;
/** No time is as late: minutes since 1970 have to fit 32 bits. It is in the year 9892. */
export const TIME_END: f64 = 250000000000000.0;

/** Months since year 0 of a day since 1970, in the Gregorian calendar (days counted from March, as years end then). */
function monthOf(day: u32): u32 {
  const shifted = day + 719468;
  const era = shifted / 146097;
  const ofEra = shifted - era * 146097;
  const year = (ofEra - ofEra / 1460 + ofEra / 36524 - ofEra / 146096) / 365;
  const ofYear = ofEra - (365 * year + year / 4 - year / 100);
  return (era * 400 + year) * 12 + (5 * ofYear + 2) / 153 + 2;
}

/** Number of the period of a time in ms since 1970, with an offset in minutes; later periods have greater ones. */
export function periodOf(period: u32, offset: i32, time: f64): u32 {
  if (period > PERIOD_MONTH) return 0;
  const shifted = max(0.0, time + <f64>offset * 60000.0);
  if (period == PERIOD_HOUR) return <u32>(shifted / 3600000.0);
  const day = <u32>(shifted / DAY_MS);
  if (period == PERIOD_DAY) return day;
  return period == PERIOD_WEEK ? (day + 3) / 7 : monthOf(day);
}
