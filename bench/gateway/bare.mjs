// What a proxy that does nothing else costs: both directions piped, connections kept.
import { Agent, createServer, request as send } from "node:http";

const [upstream] = process.argv.slice(2);
const { hostname, port } = new URL(upstream);
const agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });
const server = createServer((request, response) => {
  const { method, url: path, headers } = request;
  const outgoing = send({ hostname, port, method, path, headers, agent }, (reply) => {
    response.writeHead(reply.statusCode, reply.headers);
    reply.pipe(response);
  });
  outgoing.on("error", () => response.destroy());
  request.pipe(outgoing);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
