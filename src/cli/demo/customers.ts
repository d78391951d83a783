// Who the demo works for: three invented customers of one company that classifies flowers for others.

/** One customer and who works for it. */
export interface Customer {
  readonly customerId: string;
  readonly team: string;
  readonly project: string;
  readonly environment: string;
  readonly experiment: string;
  /** Which measurements of a flower this customer has. */
  readonly measured: readonly string[];
  /** Sends the metrics of an epoch in one call instead of one by one. */
  readonly batchesMetrics: boolean;
}

/** Teams, projects and experiments are shared by different pairs, so that no two breakdowns are alike. */
export const CUSTOMERS: readonly Customer[] = [
  {
    customerId: "meadow-labs",
    team: "research",
    project: "species-atlas",
    environment: "staging",
    experiment: "iris-pilot",
    measured: ["sepal length", "sepal width", "petal length", "petal width"],
    batchesMetrics: false,
  },
  {
    customerId: "petalworks",
    team: "research",
    project: "sorting-line",
    environment: "production",
    experiment: "iris-production",
    measured: ["petal length", "petal width"],
    batchesMetrics: false,
  },
  {
    customerId: "northfield",
    team: "field-operations",
    project: "sorting-line",
    environment: "staging",
    experiment: "iris-pilot",
    measured: ["sepal length", "sepal width"],
    batchesMetrics: true,
  },
];
