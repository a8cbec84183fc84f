// A naive sign-up in Node's http and pg: look first, act later. Stripe is called with fetch alone.
// `node app.mjs migrate` makes the tables. With TRUTH=1 each statement says at its end which request
// it is of.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import pg from "pg";

const { DATABASE_URL, PORT, STRIPE_API_BASE, STRIPE_SECRET_KEY, TRUTH } = process.env;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 8 });

async function signUp({ userId, email }, truth) {
  const found = await pool.query(
    `SELECT stripe_customer_id FROM profiles WHERE user_id = $1${truth}`,
    [userId],
  );
  if (found.rows.length > 0) return found.rows[0].stripe_customer_id;
  const customer = await createCustomer(userId, email);
  const client = await pool.connect();
  try {
    await client.query(`BEGIN${truth}`);
    await client.query(
      `INSERT INTO profiles (user_id, email, stripe_customer_id) VALUES ($1, $2, $3)${truth}`,
      [userId, email, customer],
    );
    await client.query(`COMMIT${truth}`);
  } catch (error) {
    await client.query(`ROLLBACK${truth}`);
    throw error;
  } finally {
    client.release();
  }
  return customer;
}

async function createCustomer(userId, email) {
  const made = await fetch(`${STRIPE_API_BASE}/v1/customers`, {
    method: "POST",
    headers: { authorization: `Bearer ${STRIPE_SECRET_KEY}` },
    body: new URLSearchParams({ email, "metadata[user_id]": userId }),
  });
  if (!made.ok) throw new Error(`Stripe answered ${made.status}: ${await made.text()}`);
  return (await made.json()).id;
}

function truthOf(request) {
  const span = /^00-[0-9a-f]{32}-([0-9a-f]{16})-01$/.exec(request.headers.traceparent ?? "");
  return TRUTH === "1" && span ? ` /* truth=${span[1]} */` : "";
}

async function answer(request) {
  if (request.method === "GET" && request.url === "/healthz") {
    await pool.query("SELECT 1");
    return [200, { ok: true }];
  }
  if (request.method !== "POST" || request.url !== "/sign-up") return [404, {}];
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString());
  return [200, { stripeCustomerId: await signUp(body, truthOf(request)) }];
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

async function migrate() {
  await pool.query(await readFile(new URL("../schema.sql", import.meta.url), "utf8"));
  await pool.end();
}

pool.on("error", (error) => console.error(error));
await (process.argv[2] === "migrate" ? migrate() : serve());
