// Stands between a client and its server, changes nothing, and counts.
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";

/** Answers its own address, and `take()`: the requests to MLflow's interface since the last time. */
export async function countingProxy(upstream) {
  const target = new URL(upstream);
  const agent = new Agent({ keepAlive: true });
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    if (incoming.url.startsWith("/api/")) count++;
    const { method, url: path, headers } = incoming;
    const onward = request(
      { agent, host: target.hostname, port: target.port, method, path, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    uri: `http://127.0.0.1:${server.address().port}`,
    take() {
      const taken = count;
      count = 0;
      return taken;
    },
    close() {
      server.closeAllConnections();
      server.close();
      agent.destroy();
    },
  };
}
