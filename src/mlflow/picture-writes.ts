// Pictures and figures of a run, named as MLflow's pages look for them.
// Source: `log_image` and `log_figure` in mlflow/tracking/client.py (3.17).

import { invalidParameter } from "./errors.js";
import { randomUuid } from "./random-uuid.js";
import { bytesArtifact, type RunWrite, tagWrite, textArtifact } from "./run-writes.js";
import { checkOptions, checkTime } from "./validation.js";

const LOGGED_IMAGES_TAG = "mlflow.loggedImages";
const IMAGE_KEY = /^[a-zA-Z0-9_\-./ ]+$/;
const PNG = [0x89, 0x50, 0x4e, 0x47];

/** Which picture it is: one of a series that MLflow shows step by step. */
export interface ImageOptions {
  /** Letters, digits, `_`, `-`, `.`, spaces and `/`. */
  readonly key: string;
  /** Whole number from 0; 0 when left out. */
  readonly step?: number | undefined;
  /** Milliseconds since the epoch, now when left out. */
  readonly timestamp?: number | undefined;
  /** A small version, for lists of pictures; the picture itself when left out. */
  readonly preview?: Uint8Array | undefined;
}

function isPng(bytes: unknown): bytes is Uint8Array {
  const isBytes = Object.prototype.toString.call(bytes) === "[object Uint8Array]";
  return isBytes && PNG.every((byte, index) => (bytes as Uint8Array)[index] === byte);
}

function seriesWrite(image: Uint8Array, options: ImageOptions): RunWrite {
  checkOptions("logImage", options, ["key", "step", "timestamp", "preview"]);
  const { key, step = 0, timestamp = Date.now(), preview = image } = options;
  if (typeof key !== "string" || !IMAGE_KEY.test(key)) {
    const fix = "use letters, digits, underscores, dashes, periods, spaces and slashes.";
    throw invalidParameter("key", key, fix);
  }
  if (!Number.isSafeInteger(step) || step < 0) {
    throw invalidParameter("step", step, "pass a whole number from 0.");
  }
  checkTime("timestamp", timestamp);
  if (!isPng(image)) throw invalidParameter("image", image, "pass the bytes of a PNG picture.");
  const series = `images/${key.replaceAll("/", "~")}+step+${step}+timestamp+${timestamp}`;
  const name = `${series}+${randomUuid()}`;
  const writes = [
    bytesArtifact(image, `${name}.png`),
    // Pages show this one in lists. What it holds they see for themselves, whatever its name says.
    bytesArtifact(preview, `${name}+compressed.webp`),
    tagWrite(LOGGED_IMAGES_TAG, "True"),
  ];
  return async (target) => {
    for (const write of writes) await write(target);
  };
}

/** A picture as an artifact of this name, or one of a series. */
export function imageWrite(image: Uint8Array, place: string | ImageOptions): RunWrite {
  if (typeof place === "string") return bytesArtifact(image, place);
  return seriesWrite(image, place);
}

/** A figure: SVG or HTML as text, or the bytes of any picture. */
export function figureWrite(figure: string | Uint8Array, artifactFile: string): RunWrite {
  if (typeof figure !== "string") return bytesArtifact(figure, artifactFile);
  if (!/\.(svg|html?)$/i.test(artifactFile)) {
    const fix = "a figure that is a text needs a name that ends in .svg or .html.";
    throw invalidParameter("artifactFile", artifactFile, fix);
  }
  return textArtifact(figure, artifactFile);
}
