// What signals mean to a server: stop gracefully, stop at once when asked again, read the configuration anew.

export interface SignalHandlers {
  /** SIGTERM or SIGINT; resolves when nothing is under way any more. */
  stop(): Promise<void>;
  /** SIGHUP. */
  reload(): void;
}

const EXIT_AT_ONCE = 130;

/** Resolves when the server has stopped. */
export function untilStopped({ stop, reload }: SignalHandlers): Promise<void> {
  return new Promise((resolve, reject) => {
    let isStopping = false;
    const end = () => {
      // Who asks twice does not want to wait.
      if (isStopping) process.exit(EXIT_AT_ONCE);
      isStopping = true;
      stop()
        .then(resolve, reject)
        .finally(() => {
          for (const signal of ["SIGTERM", "SIGINT"]) process.off(signal, end);
          process.off("SIGHUP", reload);
        });
    };
    process.on("SIGTERM", end);
    process.on("SIGINT", end);
    process.on("SIGHUP", reload);
  });
}
