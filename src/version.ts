// The package's version, told by telemetry and the command line.
export { version as VERSION } from "../package.json";
