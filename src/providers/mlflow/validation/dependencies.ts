// Dependencies: the runtime, its WebAssembly, and the packages that this configuration needs.
import { satisfies } from "compare-versions";
import { engines } from "../../../../package.json";
import { createEngine } from "../../../engine/index.js";
import {
  wanted as exportIsWanted,
  PACKAGES as OTLP_PACKAGES,
} from "../../../telemetry/otlp-node.js";
import type { Check } from "./check.js";
import {
  installedVersion,
  needPackages,
  OPTIONAL_PACKAGES,
  supportedVersions,
} from "./packages.js";

export const runtimeCheck: Check = {
  name: "runtime",
  area: "dependencies",
  run(setup, found) {
    const { node } = process.versions;
    setup.dependencies.node = { version: node, supported: engines.node, needed: true };
    if (!satisfies(node, engines.node)) {
      found({
        code: "NODE_TOO_OLD",
        severity: "error",
        message: `genops needs Node ${engines.node}.`,
        cause: `This is Node ${node}.`,
        fix: "nvm install 20",
      });
    }
    try {
      createEngine({ runs: 1, tuples: 16, names: 64, nameBytes: 1024, reservations: 1 });
    } catch (error) {
      setup.hasEngine = false;
      found({
        code: "WEBASSEMBLY_UNAVAILABLE",
        severity: "error",
        message: "The engine cannot be started: this runtime does not run WebAssembly.",
        cause: (error as Error).message,
        fix: "node --no-jitless your-program.js",
      });
      return `Node ${node}, no WebAssembly`;
    }
    return `Node ${node}, WebAssembly runs; no Python is needed`;
  },
};

export const packagesCheck: Check = {
  name: "packages",
  area: "dependencies",
  run(setup, found) {
    for (const name of OPTIONAL_PACKAGES) {
      const version = installedVersion(name);
      setup.dependencies[name] = {
        ...(version !== undefined && { version }),
        supported: supportedVersions(name),
        needed: false,
      };
    }
    // Without it nothing of this would have been loaded; its version may be another one.
    const needed = ["@opentelemetry/api"].filter((name) => installedVersion(name) !== undefined);
    needPackages(needed, "Telemetry", setup, found);
    if (exportIsWanted()) {
      needPackages(
        OTLP_PACKAGES,
        "The export that OTEL_EXPORTER_OTLP_ENDPOINT asks for",
        setup,
        found,
      );
      needed.push(...OTLP_PACKAGES);
    }
    const there = needed.filter((name) => setup.dependencies[name]?.version !== undefined);
    const optional = OPTIONAL_PACKAGES.filter((name) => setup.dependencies[name]?.version);
    return needed.length === 0
      ? "none is needed here"
      : `${there.length} of the ${needed.length} that are needed here (${optional.length} installed)`;
  },
};
