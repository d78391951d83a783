// TypeScript and Python do the same through the gateway as on the server itself.
import { describe, inject } from "vitest";
import { createGateway } from "../../src/gateway/index.js";
import { playsWorkflows } from "../mlflow/differential/plays.js";
import { requiresMlflow } from "../support/requires-mlflow.js";

describe.runIf(requiresMlflow())("TypeScript and Python through the gateway", () => {
  playsWorkflows({
    python: async () => inject("pythonPath") as string,
    place: async () => {
      const upstream = inject("mlflowServerUri") as string;
      const gateway = await createGateway({ upstream, port: 0, journal: false });
      return { uri: gateway.url, stop: () => gateway.close() };
    },
    store: { major: 3, isFolder: false },
    workflows: 6,
  });
});
