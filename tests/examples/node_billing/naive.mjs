// Look first, act later: as it is written in a hurry, and right for one person in one tab.
export const tables = `
  CREATE TABLE users (user_id text, email text, customer text);
  CREATE TABLE subscriptions (id text, user_id text, customer text, status text);
  CREATE TABLE credits (user_id text, invoice text);
`;

export function open(pool, stripe) {
  const first = async (sql, values) => (await pool.query(sql, values)).rows[0];

  async function signUp({ user, email }) {
    const found = await first("SELECT customer FROM users WHERE user_id = $1", [user]);
    if (found) return found.customer;
    const { id } = await stripe.customers.create({ email, metadata: { user } });
    await pool.query("INSERT INTO users VALUES ($1, $2, $3)", [user, email, id]);
    return id;
  }

  async function checkOut({ user, email, price }) {
    const customer = await signUp({ user, email });
    const session = await stripe.checkout.sessions.create({
      mode: "subscription",
      customer,
      success_url: "https://site.test/done",
      line_items: [{ price, quantity: 1 }],
      subscription_data: { metadata: { user } },
    });
    return [200, { customer, session: session.id }];
  }

  async function heard({ type, data: { object } }) {
    if (type.startsWith("customer.subscription.")) {
      const { id, customer, status } = object;
      if (await first("SELECT id FROM subscriptions WHERE id = $1", [id]))
        await pool.query("UPDATE subscriptions SET status = $2 WHERE id = $1", [id, status]);
      else
        await pool.query("INSERT INTO subscriptions VALUES ($1, $2, $3, $4)", [
          id, object.metadata.user, customer, status,
        ]);
    } else if (type === "invoice.paid") {
      const user = object.parent.subscription_details.metadata.user;
      if (!(await first("SELECT invoice FROM credits WHERE invoice = $1", [object.id])))
        await pool.query("INSERT INTO credits VALUES ($1, $2)", [user, object.id]);
    }
  }

  return { signUp, checkOut, heard };
}
