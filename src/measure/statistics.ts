/** From rounds to rows: the median round of each call, without what the markers themselves cost. */
import { type Counts, noPhaseCounts, type PhaseCounts, subtract, total } from "./counts.ts";
import type { Round } from "./regions.ts";

/** The pair of markers with nothing between them: what every region contains. */
export const EMPTY_PAIR = "nothing";
/** Programs call their warm-up rounds so. */
const WARM_UP = "";

export interface Row {
  readonly call: string;
  /** Bytes; of mechanisms, CR3 writes. */
  readonly payload: number;
  readonly rounds: number;
  /** Of the median round, by cycles: so its phases add up. Without the empty pair. */
  readonly phases: PhaseCounts;
  readonly total: Counts;
  /** Over all rounds, without the empty pair. */
  readonly least: Spread;
  readonly most: Spread;
  /** Names of assumed figures that any of the rounds cost. */
  readonly assumed: readonly string[];
}

export interface Spread {
  readonly instructions: number;
  readonly cycles: number;
}

function medianRound(rounds: readonly Round[]): Round {
  const sums = rounds.map((round) => ({ round, ...total(round.phases) }));
  sums.sort((a, b) => a.cycles - b.cycles || a.instructions - b.instructions);
  return sums[(sums.length - 1) >> 1]!.round;
}

/** One row for each call and payload, in the order of their first rounds. */
export function rowsOf(rounds: readonly Round[]): Row[] {
  const groups = Map.groupBy(
    rounds.filter(({ call }) => call !== WARM_UP),
    ({ call, payload }) => `${payload} ${call}`,
  );
  const empty = groups.get(`0 ${EMPTY_PAIR}`);
  const less = empty === undefined ? noPhaseCounts() : medianRound(empty).phases;
  return [...groups.values()].filter((group) => group !== empty).map((group) => rowOf(group, less));
}

function rowOf(rounds: readonly Round[], less: PhaseCounts): Row {
  const { call, payload } = rounds[0]!;
  const phases = subtract(medianRound(rounds).phases, less);
  const sums = rounds.map((round) => total(subtract(round.phases, less)));
  const spread = (pick: (...values: number[]) => number): Spread => ({
    instructions: pick(...sums.map(({ instructions }) => instructions)),
    cycles: pick(...sums.map(({ cycles }) => cycles)),
  });
  return {
    ...{ call, payload, phases },
    rounds: rounds.length,
    total: total(phases),
    least: spread(Math.min),
    most: spread(Math.max),
    assumed: [...new Set(rounds.flatMap(({ assumed }) => assumed))].sort(),
  };
}
