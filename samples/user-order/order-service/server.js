// Knows the orders, and asks the user service who placed them. What is posted is checked and
// answered, not kept: a tutorial has no database, and any replica must answer like any other.
'use strict';

const http = require('node:http');
const os = require('node:os');

const PORT = Number(process.env.PORT ?? 8080);
const HOST = process.env.HOST ?? '0.0.0.0';
const POD = process.env.POD_NAME ?? os.hostname();
const USER_SERVICE = process.env.USER_SERVICE_URL ?? 'http://user-service:8080';
// Set where calls go through an explicit proxy, as on a laptop; captured traffic needs none.
const PROXY = process.env.http_proxy ? new URL(process.env.http_proxy) : null;
const TIMEOUT_MS = 3000;
const LONGEST_BODY = 16 * 1024;
// A mesh sees which call belongs to which only if these travel along.
const TRACE_HEADERS = [
  'x-request-id', 'traceparent', 'tracestate', 'b3',
  'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags',
];

const ORDERS = new Map([
  ['1', { id: '1', userId: '1', item: 'keyboard', quantity: 1 }],
  ['2', { id: '2', userId: '2', item: 'monitor', quantity: 2 }],
  ['3', { id: '3', userId: '1', item: 'mouse', quantity: 1 }],
  ['4', { id: '4', userId: '3', item: 'cable', quantity: 5 }],
]);

const agent = new http.Agent({ keepAlive: true });

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function reply(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-served-by': POD,
  });
  response.end(text);
}

async function read(stream) {
  let text = '';
  for await (const part of stream) {
    text += part;
    if (text.length > LONGEST_BODY) {
      throw new Refusal(413, `more than ${LONGEST_BODY} bytes`);
    }
  }
  return text;
}

function get(url, headers) {
  const target = new URL(url);
  const options = PROXY
    ? { host: PROXY.hostname, port: PROXY.port, path: url, headers: { ...headers, host: target.host } }
    : { host: target.hostname, port: target.port, path: target.pathname, headers };
  return new Promise((resolve, reject) => {
    const request = http.get({ ...options, agent, timeout: TIMEOUT_MS }, (response) => {
      read(response).then((text) => resolve({ status: response.statusCode, text }), reject);
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    request.on('error', reject);
  });
}

async function userOf(id, request) {
  const headers = {};
  for (const name of TRACE_HEADERS) {
    if (request.headers[name]) headers[name] = request.headers[name];
  }
  let answer;
  try {
    answer = await get(`${USER_SERVICE}/users/${encodeURIComponent(id)}`, headers);
  } catch (error) {
    throw new Refusal(503, `the user service does not answer: ${error.message}`);
  }
  if (answer.status === 404) throw new Refusal(422, `there is no user ${id}`);
  if (answer.status !== 200) {
    throw new Refusal(503, `the user service answered ${answer.status}: ${answer.text.trim()}`);
  }
  return JSON.parse(answer.text);
}

async function place(request) {
  let order;
  try {
    order = JSON.parse(await read(request));
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(400, `this is no JSON: ${error.message}`);
  }
  const { userId, item, quantity = 1 } = order ?? {};
  if (typeof userId !== 'string' || typeof item !== 'string' || item === '') {
    throw new Refusal(400, 'give userId and item, both strings');
  }
  if (!Number.isInteger(quantity) || quantity < 1) {
    throw new Refusal(400, 'quantity is a whole number, 1 or more');
  }
  return { id: crypto.randomUUID(), item, quantity, user: await userOf(userId, request) };
}

async function handle(request, response) {
  const { pathname } = new URL(request.url, 'http://order-service');
  if (pathname === '/healthz') return reply(response, 200, { status: 'ok' });
  if (pathname === '/orders' && request.method === 'POST') {
    return reply(response, 201, await place(request));
  }
  if (request.method !== 'GET') {
    throw new Refusal(405, `${request.method} is not for ${pathname}`);
  }
  if (pathname === '/orders') return reply(response, 200, [...ORDERS.values()]);
  const id = pathname.match(/^\/orders\/([^/]+)$/)?.[1];
  const order = ORDERS.get(id);
  if (!order) throw new Refusal(404, id ? `there is no order ${id}` : `there is no ${pathname}`);
  const { userId, ...rest } = order;
  return reply(response, 200, { ...rest, user: await userOf(userId, request) });
}

const server = http.createServer((request, response) => {
  handle(request, response).catch((error) => {
    if (!(error instanceof Refusal)) console.error(error);
    reply(response, error.status ?? 500, { error: error.message });
  });
});

server.listen(PORT, HOST, () => console.log(`order-service ${POD} listens on ${HOST}:${PORT}`));

// Kubernetes says SIGTERM first: finish what is under way, take nothing new.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
