// A proxy that loses connections, as a real network does.

import { connect, createServer } from "node:net";

/** Opens a proxy to the server at `url` for one test: `t` is its context. */
export async function openProxy(t, url) {
  const { hostname, port } = new URL(url);
  const sockets = new Set();
  const waiting = [];
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
    far.on("data", () => {
      for (const resolve of waiting.splice(0)) resolve();
    });
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  t.after(() => {
    cut();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut,
    /** Resolves when bytes come from the server. */
    answer: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
