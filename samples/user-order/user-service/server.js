// Knows the users. No dependencies, no state: any replica answers like any other.
'use strict';

const http = require('node:http');
const os = require('node:os');

const PORT = Number(process.env.PORT ?? 8080);
const HOST = process.env.HOST ?? '0.0.0.0';
const POD = process.env.POD_NAME ?? os.hostname();

const USERS = new Map([
  ['1', { id: '1', name: 'Ada Lovelace', email: 'ada@example.com' }],
  ['2', { id: '2', name: 'Alan Turing', email: 'alan@example.com' }],
  ['3', { id: '3', name: 'Grace Hopper', email: 'grace@example.com' }],
]);

function reply(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-served-by': POD,
  });
  response.end(text);
}

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://user-service');
  if (request.method !== 'GET') {
    return reply(response, 405, { error: `${request.method} is not for ${pathname}` });
  }
  if (pathname === '/healthz') {
    return reply(response, 200, { status: 'ok' });
  }
  if (pathname === '/users') {
    return reply(response, 200, [...USERS.values()]);
  }
  const id = pathname.match(/^\/users\/([^/]+)$/)?.[1];
  const user = USERS.get(id);
  return user
    ? reply(response, 200, user)
    : reply(response, 404, { error: id ? `there is no user ${id}` : `there is no ${pathname}` });
});

server.listen(PORT, HOST, () => console.log(`user-service ${POD} listens on ${HOST}:${PORT}`));

// Kubernetes says SIGTERM first: finish what is under way, take nothing new.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
