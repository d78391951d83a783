// Takes OTLP over HTTP in a process of its own and keeps nothing; says its port, and how many requests it took.
import { createServer } from "node:http";

let requests = 0;
const server = createServer((request, response) => {
  request.resume().on("end", () => {
    requests++;
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
});
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.on("message", () => process.send({ requests }));
process.on("disconnect", () => process.exit());
