// What a Node application does with its database: `node proxy_client.mjs NODE_MODULES DSN`.
import { createRequire } from "node:module";

const [modules, connectionString] = process.argv.slice(2);
const pg = createRequire(`${modules}/`)("pg");
const pool = new pg.Pool({ connectionString, max: 3 });
const said = {};

const client = await pool.connect();
await client.query("create temporary table t (n int)");
await client.query("begin");
for (let n = 1; n <= 10; n++) await client.query("insert into t values ($1)", [n]);
await client.query("commit");
said.sum = (await client.query("select sum(n)::text as sum from t")).rows[0].sum;
said.error = await client.query("select 1 / $1::int", [0]).catch((error) => error.code);
said.named = [];
for (const n of [1, 2]) {
  const named = { name: "one", text: "select n from t where n = $1", values: [n] };
  said.named.push((await client.query(named)).rows[0].n);
}
const told = new Promise((resolve) => client.once("notification", (message) => resolve(message.payload)));
await client.query("listen news");
await pool.query("select pg_notify('news', 'hello')");
said.told = await told;
said.many = (await Promise.all([1, 2, 3].map(() => pool.query("select pg_sleep(0.01)")))).length;
client.release();
await pool.end();
process.stdout.write(JSON.stringify(said));
