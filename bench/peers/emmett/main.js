// Emmett on Postgres, as its documentation has it: a command handler over the event store, and a Pongo projection.
//
// - append --database-url … --writers 64 --seconds 5: invitations, each of a stream of its own
// - rebuild --database-url … --events 5000: a projection that makes a document of each event, from the first
import { CommandHandler } from '@event-driven-io/emmett';
import {
  getPostgreSQLEventStore,
  pongoSingleStreamProjection,
  rebuildPostgreSQLProjections,
} from '@event-driven-io/emmett-postgresql';
import { randomUUID } from 'node:crypto';
import pg from 'pg';

const [verb, ...rest] = process.argv.slice(2);
const options = {};
for (let n = 0; n < rest.length; n += 2) options[rest[n].slice(2)] = rest[n + 1];
const writers = Number(options.writers ?? 64);

const email = (id) => `customer-${id.replaceAll('-', '')}@example.com`;
const evolve = (state, event) => (event.type === 'CustomerInvited' ? { isInvited: true } : state);
const handle = CommandHandler({ evolve, initialState: () => ({ isInvited: false }) });
const invite = (id) => (state) => {
  if (state.isInvited) throw new Error('invited already');
  return { type: 'CustomerInvited', data: { customerId: id, email: email(id) } };
};

const customers = pongoSingleStreamProjection({
  collectionName: 'customer',
  canHandle: ['CustomerInvited'],
  evolve: (_document, { data }) => ({ id: data.customerId, email: data.email, status: 'INVITED', version: 1 }),
});

// The database of this program, made if need be.
async function database() {
  const name = `peer_emmett_${verb}`;
  const server = new pg.Client({ connectionString: options['database-url'] });
  await server.connect();
  const found = await server.query('select 1 from pg_database where datname = $1', [name]);
  if (found.rowCount === 0) await server.query(`create database ${name}`);
  await server.end();
  const url = new URL(options['database-url']);
  url.pathname = `/${name}`;
  return url.toString();
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];

async function append(store) {
  const seconds = Number(options.seconds);
  const begin = performance.now() + Number(options['warm-up'] ?? 1) * 1000;
  const end = begin + seconds * 1000;
  const took = [];
  const writer = async () => {
    for (;;) {
      const sent = performance.now();
      if (sent >= end) return;
      const id = randomUUID();
      await handle(store, `customer-${id}`, invite(id));
      const now = performance.now();
      if (now >= begin && now < end) took.push(now - sent);
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
  took.sort((a, b) => a - b);
  return {
    count: took.length,
    per_second: took.length / seconds,
    p50_ms: quantile(took, 0.5),
    p99_ms: quantile(took, 0.99),
  };
}

async function rebuild(store, connectionString) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const wanted = Number(options.events);
  const found = await client.query('select count(*)::int as n from emt_messages');
  let missing = wanted - found.rows[0].n;
  // One after another: it reads pages in the order of transactions, but from a position on, so that it passes over
  // events whose positions and transactions are in different orders (seen: 150 of 1,000 by 64 writers).
  while (missing-- > 0) {
    const id = randomUUID();
    await handle(store, `customer-${id}`, invite(id));
  }
  const total = (await client.query('select count(*)::int as n from emt_messages')).rows[0].n;
  // It reads no events that are newer than the oldest open transaction of the whole server: wait until all are older.
  const hidden = 'select count(*)::int as n from emt_messages where transaction_id >= pg_snapshot_xmin(pg_current_snapshot())';
  const patience = performance.now() + 20_000;
  while ((await client.query(hidden)).rows[0].n > 0 && performance.now() < patience);
  // A rebuild goes on from where the one before ended, with the documents gone: its place is forgotten as well.
  await client.query("delete from emt_processors where processor_id like '%projector%'");
  // It starts from the first event, with nothing there.
  const consumer = rebuildPostgreSQLProjections({
    connectionString,
    projection: customers,
    pulling: { batchSize: 1000 },
  });
  const began = performance.now();
  await consumer.start();
  const seconds = (performance.now() - began) / 1000;
  const rows = (await client.query('select count(*)::int as n from customer')).rows[0].n;
  await client.end();
  if (rows < total) throw new Error(`${rows} of ${total} events are shown`);
  return { count: rows, seconds, per_second: rows / seconds };
}

const connectionString = await database();
// A connection for each writer: fewer would make them wait for each other.
const pool = new pg.Pool({ connectionString, max: writers });
const store = getPostgreSQLEventStore(connectionString, { connectionOptions: { pool } });
await store.schema.migrate();
const verbs = { append, rebuild };
if (!verbs[verb]) throw new Error(`${verb} is not among append, rebuild`);
console.log(JSON.stringify(await verbs[verb](store, connectionString)));
process.exit(0);
