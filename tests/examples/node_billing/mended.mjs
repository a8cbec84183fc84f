// The same, mended: keys that are unique, the user's row locked from the look to the act, one open
// session at a time, and a webhook that asks Stripe what is true now.
export const tables = `
  CREATE TABLE users (user_id text PRIMARY KEY, email text, customer text UNIQUE, session text);
  CREATE TABLE subscriptions (id text PRIMARY KEY, user_id text NOT NULL, customer text, status text);
  CREATE TABLE credits (user_id text NOT NULL, invoice text PRIMARY KEY);
`;

export function open(pool, stripe) {
  async function inTransaction(work) {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      const done = await work(client);
      await client.query("COMMIT");
      return done;
    } catch (error) {
      await client.query("ROLLBACK");
      throw error;
    } finally {
      client.release();
    }
  }

  // Give the user's row, locked and with a customer.
  async function locked(client, { user, email }) {
    await client.query("INSERT INTO users (user_id, email) VALUES ($1, $2) ON CONFLICT DO NOTHING", [user, email]);
    const { rows: [row] } = await client.query("SELECT * FROM users WHERE user_id = $1 FOR UPDATE", [user]);
    if (!row.customer) {
      const asked = { email, metadata: { user } };
      row.customer = (await stripe.customers.create(asked, { idempotencyKey: `customer-of-${user}` })).id;
      await client.query("UPDATE users SET customer = $2 WHERE user_id = $1", [user, row.customer]);
    }
    return row;
  }

  const signUp = (person) => inTransaction(async (client) => (await locked(client, person)).customer);

  function checkOut({ user, email, price }) {
    return inTransaction(async (client) => {
      const { customer, session } = await locked(client, { user, email });
      const { data: live } = await stripe.subscriptions.list({ customer, limit: 1 });
      if (live.length) return [409, { error: "there is a subscription" }];
      const last = session && (await stripe.checkout.sessions.retrieve(session));
      if (last?.status === "open") return [200, { customer, session }];
      if (last?.status === "complete") return [409, { error: "it has been paid" }];
      const { id } = await stripe.checkout.sessions.create({
        mode: "subscription",
        customer,
        success_url: "https://site.test/done",
        line_items: [{ price, quantity: 1 }],
        subscription_data: { metadata: { user } },
      });
      await client.query("UPDATE users SET session = $2 WHERE user_id = $1", [user, id]);
      return [200, { customer, session: id }];
    });
  }

  async function heard({ type, data: { object } }) {
    if (type.startsWith("customer.subscription.")) {
      await inTransaction(async (client) => {
        await client.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [object.id]);
        const { id, customer, status, metadata } = await stripe.subscriptions.retrieve(object.id);
        await client.query(
          `INSERT INTO subscriptions VALUES ($1, $2, $3, $4)
           ON CONFLICT (id) DO UPDATE SET status = excluded.status`,
          [id, metadata.user, customer, status],
        );
      });
    } else if (type === "invoice.paid") {
      const user = object.parent.subscription_details.metadata.user;
      await pool.query("INSERT INTO credits VALUES ($1, $2) ON CONFLICT DO NOTHING", [user, object.id]);
    }
  }

  return { signUp, checkOut, heard };
}
