// A site that bills: Node's http, pg, and Stripe's official library. WAY names the module that says how
// people sign up and check out and what becomes of webhooks; `node site.mjs migrate` makes its tables.
import { createServer } from "node:http";
import pg from "pg";
import Stripe from "stripe";

const { DATABASE_URL, PORT, STRIPE_API_BASE, STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET, WAY } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 8 });

// The lines for Deadheat: where Stripe is. Left out, the library goes to Stripe itself.
const base = new URL(STRIPE_API_BASE);
const stripe = new Stripe(STRIPE_SECRET_KEY, { host: base.hostname, port: base.port, protocol: "http" });

const way = await import(`./${WAY}.mjs`);
const site = way.open(pool, stripe);

const routes = {
  "POST /sign-up": async (body) => [200, { customer: await site.signUp(JSON.parse(body)) }],
  "POST /check-out": async (body) => site.checkOut(JSON.parse(body)),
  "POST /webhook": async (body, headers) => {
    let event;
    try {
      event = stripe.webhooks.constructEvent(body, headers["stripe-signature"], STRIPE_WEBHOOK_SECRET);
    } catch {
      return [400, { error: "not signed by Stripe" }];
    }
    await site.heard(event);
    return [200, {}];
  },
  "GET /healthz": async () => [200, (await pool.query("SELECT 1")).rows],
};

async function answer(request) {
  const route = routes[`${request.method} ${request.url}`];
  if (!route) return [404, {}];
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return route(Buffer.concat(chunks).toString(), request.headers);
}

async function serve() {
  const server = createServer(async (request, response) => {
    let status, body;
    try {
      [status, body] = await answer(request);
    } catch (error) {
      console.error(error);
      [status, body] = [500, { error: String(error) }];
    }
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.keepAliveTimeout = 10_000;
  server.listen(Number(PORT), "127.0.0.1");
}

pool.on("error", (error) => console.error(error));
if (process.argv[2] === "migrate") {
  await pool.query(way.tables);
  await pool.end();
} else {
  await serve();
}
