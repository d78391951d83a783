// The packages that are installed by those who need them: which are there, and in which versions.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { satisfies } from "compare-versions";
import { peerDependencies } from "../../../../package.json";
import type { Found, Setup } from "./check.js";

const SUPPORTED: Readonly<Record<string, string>> = peerDependencies;

export const OPTIONAL_PACKAGES = Object.keys(SUPPORTED);

/** The version that this package would be given; undefined when there is none. */
export function installedVersion(name: string): string | undefined {
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    try {
      const { version } = JSON.parse(readFileSync(join(folder, name, "package.json"), "utf8"));
      if (typeof version === "string") return version;
    } catch {
      // Not there: the next folder may have it.
    }
  }
  return undefined;
}

export function supportedVersions(name: string): string {
  return SUPPORTED[name] ?? "";
}

function isSupported(name: string, version: string): boolean {
  try {
    return satisfies(version, supportedVersions(name));
  } catch {
    // A version of somebody's own making: who installs it knows better.
    return true;
  }
}

/** Notes whether packages that this set-up needs are there. Answers whether they all can be used. */
export function needPackages(
  names: readonly string[],
  purpose: string,
  setup: Setup,
  found: Found,
): boolean {
  const missing: string[] = [];
  let usable = true;
  for (const name of names) {
    const version = installedVersion(name);
    setup.dependencies[name] = {
      ...(version !== undefined && { version }),
      supported: supportedVersions(name),
      needed: true,
    };
    if (version === undefined) missing.push(name);
    else if (!isSupported(name, version)) {
      usable = false;
      found({
        code: "PACKAGE_UNSUPPORTED",
        severity: "error",
        message: `${purpose} needs another version of ${name}.`,
        cause: `Version ${version} is installed; ${supportedVersions(name)} is supported.`,
        fix: `npm install "${name}@${supportedVersions(name)}"`,
      });
    }
  }
  if (missing.length > 0) {
    found({
      code: "PACKAGE_MISSING",
      severity: "error",
      message: `${purpose} needs ${missing.length === 1 ? "a package that is" : "packages that are"} not installed.`,
      cause: `Not found: ${missing.join(", ")}.`,
      fix: `npm install ${missing.join(" ")}`,
    });
  }
  return usable && missing.length === 0;
}
