// What a Node application asks of Stripe every day, by the official library: `node calls.mjs STORY`.
//
// Each step is told as a line of JSON, [name, what there was], and answered by a line of JSON: what
// happens at Stripe meanwhile (a customer pays, time passes) is done by whoever reads these lines.
import { createInterface } from "node:readline";
import Stripe from "stripe";

const { STRIPE_API_BASE, STRIPE_SECRET_KEY, STRIPE_API_VERSION } = process.env;
const base = new URL(STRIPE_API_BASE);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function tell(step, said = {}) {
  process.stdout.write(JSON.stringify([step, said]) + "\n");
  return JSON.parse((await lines.next()).value);
}

function connect(options = {}) {
  return new Stripe(options.key ?? STRIPE_SECRET_KEY, {
    host: base.hostname,
    port: base.port,
    protocol: "http",
    maxNetworkRetries: 0,
    ...(STRIPE_API_VERSION ? { apiVersion: STRIPE_API_VERSION } : {}),
    ...options.config,
  });
}

const ids = (found) => found.map((one) => one.id);

function refused(call) {
  return call.then(
    (found) => ({ made: found.id }),
    (error) => ({
      class: error.constructor.name,
      is: error instanceof Stripe.errors.StripeError,
      type: error.rawType ?? null,
      code: error.code ?? null,
      param: error.param ?? null,
      status: error.statusCode ?? null,
      request: error.requestId ?? null,
      replayed: error.headers?.["idempotent-replayed"] ?? null,
    })
  );
}

async function subscribed(stripe, price) {
  const customer = await stripe.customers.create({ email: "ada@example.test", name: "Ada" });
  const session = await stripe.checkout.sessions.create({
    mode: "subscription",
    customer: customer.id,
    success_url: "https://app.test/done",
    line_items: [{ price, quantity: 1 }],
    subscription_data: { metadata: { user_id: "u1" } },
  });
  await tell("pay", { session: session.id });
  return { customer, session };
}

const stories = {
  async customers(stripe) {
    const asked = { email: "ada@example.test", metadata: { user_id: "u1", plan: "a" } };
    const made = await stripe.customers.create(asked);
    await tell("created", { id: made.id, metadata: made.metadata, request: made.lastResponse.requestId });
    const twin = await stripe.customers.create(asked);
    const merged = await stripe.customers.update(made.id, { metadata: { plan: "", seats: "3" } });
    await tell("updated", { id: merged.id, metadata: merged.metadata });
    await tell("retrieved", { metadata: (await stripe.customers.retrieve(made.id)).metadata });
    const unset = await stripe.customers.update(made.id, { metadata: "", name: "" });
    await tell("unset", { metadata: unset.metadata, name: unset.name });
    await tell("listed", ids((await stripe.customers.list({ email: "ada@example.test" })).data));
    await tell("deleted", await stripe.customers.del(made.id));
    await tell("left", { gone: (await stripe.customers.retrieve(made.id)).deleted, twin: twin.id });
  },

  async pages(stripe) {
    const made = [];
    for (let n = 0; n < 7; n++) {
      made.unshift((await stripe.customers.create({ email: "ada@example.test", metadata: { n: `${n}` } })).id);
    }
    await tell("made", made);
    await tell("to array", ids(await stripe.customers.list({ limit: 3 }).autoPagingToArray({ limit: 5 })));
    const forwards = [];
    for await (const one of stripe.customers.list({ limit: 3, email: "ada@example.test" })) forwards.push(one.id);
    await tell("for await", forwards);
    const backwards = [];
    for await (const one of stripe.customers.list({ limit: 2, ending_before: made[6] })) backwards.push(one.id);
    await tell("backwards", backwards);
    const each = [];
    await stripe.customers.list({ limit: 2 }).autoPagingEach((one) => each.push(one.id) < 3);
    await tell("each", each);
    await tell("wait");
    const search = { query: "email:'ada@example.test'", limit: 2 };
    const first = await stripe.customers.search(search);
    await tell("search", { object: first.object, page: first.data.length, more: first.has_more });
    await tell("searched", ids(await stripe.customers.search(search).autoPagingToArray({ limit: 100 })));
  },

  async checkout(stripe, price) {
    const { customer, session } = await subscribed(stripe, price);
    const done = await stripe.checkout.sessions.retrieve(session.id, {
      expand: ["customer", "subscription.latest_invoice", "line_items"],
    });
    await tell("complete", {
      opened: session.status,
      status: done.status,
      customer: done.customer.id === customer.id,
      metadata: done.subscription.metadata,
      invoice: done.subscription.latest_invoice.status,
      items: done.line_items.data.map((item) => [item.price.id, item.quantity]),
    });
    const items = await stripe.checkout.sessions.listLineItems(session.id);
    await tell("line items", items.data.map((item) => item.price.id));
    const left = await stripe.checkout.sessions.create({
      mode: "payment",
      success_url: "https://app.test/done",
      line_items: [{ price_data: { currency: "eur", unit_amount: 700, product_data: { name: "Mug" } }, quantity: 2 }],
    });
    const expired = await stripe.checkout.sessions.expire(left.id);
    await tell("expired", { total: left.amount_total, status: expired.status });
    const open = await stripe.checkout.sessions.list({ customer: customer.id, status: "complete" });
    await tell("listed", { found: ids(open.data), session: session.id });
  },

  async subscriptions(stripe, price, other) {
    const { customer } = await subscribed(stripe, price);
    const [subscription] = (await stripe.subscriptions.list({ customer: customer.id })).data;
    const changed = await stripe.subscriptions.update(subscription.id, {
      items: [{ id: subscription.items.data[0].id, price: other, quantity: 2 }],
      metadata: { seats: "2" },
    });
    await tell("updated", {
      items: changed.items.data.map((item) => [item.price.id, item.quantity]),
      metadata: changed.metadata,
    });
    const invoice = await stripe.invoices.retrieve(subscription.latest_invoice, { expand: ["payments"] });
    const intent = invoice.payments.data[0].payment.payment_intent;
    const refund = await stripe.refunds.create({ payment_intent: intent, amount: 500 });
    await tell("refunded", { paid: invoice.amount_paid, amount: refund.amount, status: refund.status });
    const canceled = await stripe.subscriptions.cancel(subscription.id);
    const byStatus = {};
    for (const status of ["active", "canceled", "all"]) {
      byStatus[status] = (await stripe.subscriptions.list({ status })).data.length;
    }
    await tell("canceled", { status: canceled.status, byStatus });
    const events = await stripe.events.list({ type: "customer.subscription.*", limit: 2 });
    await tell("events", events.data.map((event) => [event.type, event.data.object.status]));
  },

  async versions(stripe, price) {
    const { customer } = await subscribed(stripe, price);
    const [subscription] = (await stripe.subscriptions.list({ customer: customer.id })).data;
    const invoice = await stripe.invoices.retrieve(subscription.latest_invoice);
    const created = await stripe.events.list({ type: "customer.subscription.created" });
    await tell("seen", {
      asked: subscription.lastResponse?.apiVersion ?? invoice.lastResponse.apiVersion,
      top: typeof subscription.current_period_end,
      item: typeof subscription.items.data[0].current_period_end,
      subscription: invoice.subscription === subscription.id,
      parent: invoice.parent?.subscription_details.subscription === subscription.id,
      intent: typeof invoice.payment_intent,
      born: created.data[0].data.object.status,
    });
  },

  async billing(stripe, price) {
    const customer = await stripe.customers.create({ email: "ada@example.test" });
    const card = await stripe.paymentMethods.attach("pm_card_visa", { customer: customer.id });
    const items = [{ price, quantity: 1 }];
    const paid = await stripe.subscriptions.create({
      customer: customer.id,
      items,
      default_payment_method: card.id,
      expand: ["latest_invoice"],
    });
    await tell("paid", { status: paid.status, invoice: paid.latest_invoice.status });
    const waiting = await stripe.subscriptions.create({
      customer: customer.id,
      items,
      payment_behavior: "default_incomplete",
      expand: ["latest_invoice.payments"],
    });
    const intent = waiting.latest_invoice.payments.data[0].payment.payment_intent;
    const confirmed = await stripe.paymentIntents.confirm(intent, { payment_method: card.id });
    const active = await stripe.subscriptions.retrieve(waiting.id);
    await tell("confirmed", { first: waiting.status, intent: confirmed.status, then: active.status });
    const bad = "pm_card_chargeDeclined";
    await tell("declined", await refused(stripe.paymentMethods.attach(bad, { customer: customer.id })));
    const portal = await stripe.billingPortal.sessions.create({ customer: customer.id });
    await tell("portal", { customer: portal.customer === customer.id, url: typeof portal.url });
    const hook = await stripe.webhookEndpoints.create({ url: "https://app.test/hook", enabled_events: ["*"] });
    const kept = await stripe.webhookEndpoints.retrieve(hook.id);
    await tell("endpoint", { secret: hook.secret, kept: kept.secret ?? null, id: hook.id });
  },

  async errors(stripe) {
    await tell("unknown", await refused(stripe.customers.create({ nonsense: 1 })));
    await tell("missing", await refused(stripe.customers.retrieve("cus_no")));
    const session = { mode: "subscription", success_url: "https://app.test", line_items: [{ price: "price_no", quantity: 1 }] };
    await tell("referenced", await refused(stripe.checkout.sessions.create(session)));
    await tell("stranger", await refused(connect({ key: "sk_test_of_somebody_else" }).customers.list()));
    await stripe.customers.create({ name: "a" }, { idempotencyKey: "k" });
    await tell("reused", await refused(stripe.customers.create({ name: "b" }, { idempotencyKey: "k" })));
    for (const fault of ["declined", "limited", "broken"]) {
      await tell(`next ${fault}`);
      await tell(fault, await refused(stripe.customers.create({ name: "c" }, { idempotencyKey: fault })));
    }
    await tell("again", await refused(stripe.customers.create({ name: "c" }, { idempotencyKey: "broken" })));
  },

  async retries() {
    const options = await tell("options");
    const stripe = connect({ config: { maxNetworkRetries: options.retries } });
    const key = options.key ? { idempotencyKey: options.key } : {};
    const made = await stripe.customers.create({ email: "ada@example.test" }, key);
    await tell("made", { id: made.id, replayed: made.lastResponse.headers["idempotent-replayed"] ?? null });
  },

  async webhooks(stripe) {
    for (;;) {
      const delivery = await tell("next");
      if (!delivery) return;
      const { body, header, secret } = delivery;
      const said = {};
      for (const construct of ["constructEvent", "constructEventAsync"]) {
        try {
          const event = await stripe.webhooks[construct](body, header, secret);
          said[construct] = [event.type, event.data.object.email];
        } catch (error) {
          said[construct] = error.constructor.name;
        }
      }
      await tell("constructed", said);
    }
  },
};

const [story, ...more] = process.argv.slice(2);
await stories[story](connect(), ...more);
process.exit(); // a response that the library gave up for a retry keeps its socket, and Node alive
