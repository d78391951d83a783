// Rows to learn from, to choose by and to test on: each customer's share of the Iris data.
import { IRIS_CSV, IRIS_SPECIES } from "./iris.js";
import { seededRandom, shuffled } from "./random.js";

/** One flower: its measurements and the index of its species. */
export interface Sample {
  readonly features: readonly number[];
  readonly label: number;
}

/** A customer's data: features brought to mean 0 and deviation 1 by what the training rows say. */
export interface Dataset {
  readonly featureNames: readonly string[];
  readonly classNames: readonly string[];
  /** What standardised the features; whoever uses the model needs them. */
  readonly means: readonly number[];
  readonly deviations: readonly number[];
  /** The weights are fitted to these. */
  readonly training: readonly Sample[];
  /** The learning rate is chosen by these. */
  readonly validation: readonly Sample[];
  /** Seen by no run of the search: the chosen model is judged by these. */
  readonly test: readonly Sample[];
}

const TRAINING_SHARE = 0.6;
const VALIDATION_SHARE = 0.2;

/** Reads all 150 rows, unscaled. */
export function readIris(): { featureNames: readonly string[]; rows: readonly Sample[] } {
  const [header = "", ...lines] = IRIS_CSV.trim().split("\n");
  const rows = lines.map((line) => {
    const numbers = line.split(",").map(Number);
    return { features: numbers.slice(0, -1), label: numbers.at(-1) as number };
  });
  return { featureNames: header.split(",").slice(0, -1), rows };
}

function moments(rows: readonly Sample[], feature: number): { mean: number; deviation: number } {
  const values = rows.map((row) => row.features[feature] as number);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) || 1 };
}

/**
 * Splits 60/20/20 within each species, by the seed alone.
 *
 * @param measured - which measurements this customer has, by name (`petal length`)
 */
export function irisDataset(measured: readonly string[], seed: number): Dataset {
  const { featureNames, rows } = readIris();
  const columns = measured.map((name) => {
    const column = featureNames.indexOf(name);
    if (column < 0) throw new Error(`The Iris data has no measurement "${name}".`);
    return column;
  });
  const random = seededRandom(seed);
  const parts: Record<"training" | "validation" | "test", Sample[]> = {
    training: [],
    validation: [],
    test: [],
  };
  for (const label of IRIS_SPECIES.keys()) {
    const species = shuffled(
      rows.filter((row) => row.label === label),
      random,
    ).map((row) => ({ features: columns.map((column) => row.features[column] as number), label }));
    const trained = Math.round(species.length * TRAINING_SHARE);
    const validated = trained + Math.round(species.length * VALIDATION_SHARE);
    parts.training.push(...species.slice(0, trained));
    parts.validation.push(...species.slice(trained, validated));
    parts.test.push(...species.slice(validated));
  }
  const scale = columns.map((_, feature) => moments(parts.training, feature));
  const standardised = (samples: readonly Sample[]) =>
    samples.map(({ features, label }) => ({
      features: features.map((value, feature) => {
        const { mean, deviation } = scale[feature] as { mean: number; deviation: number };
        return (value - mean) / deviation;
      }),
      label,
    }));
  return {
    featureNames: [...measured],
    classNames: IRIS_SPECIES,
    means: scale.map(({ mean }) => mean),
    deviations: scale.map(({ deviation }) => deviation),
    training: standardised(parts.training),
    validation: standardised(parts.validation),
    test: standardised(parts.test),
  };
}
