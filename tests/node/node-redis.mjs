import assert from 'node:assert/strict'
import { createClient, ErrorReply, MultiErrorReply, RESP_TYPES, WatchError } from 'redis'
import { familiesNodeRedis } from './families.mjs'
import { blockedClients, everyByte, megabyte, subscriberID, until } from './wait.mjs'

export async function tourNodeRedis ({ port }) {
  const clients = []
  const problems = []
  const open = async (options = {}) => {
    const client = createClient({ url: `redis://127.0.0.1:${port}`, ...options })
    client.on('error', e => problems.push(e))
    clients.push(client)
    return client.connect()
  }
  const tour = { open, port, redis: await open(), other: await open() }
  await tour.redis.flushAll()
  for (const part of [values, keys, transactions, blocking, streams, familiesNodeRedis, pubSub, shardedPubSub, errors, options]) {
    await part(tour)
    assert.deepEqual(problems, [], part.name)
  }
  await reconnect(tour)
  for (const client of clients) await client.close()
}

async function values ({ redis }) {
  assert.match(await redis.sendCommand(['CLIENT', 'INFO']), / resp=3 .*lib-name=node-redis /)
  assert.equal(await redis.set('k', 'v', { EX: 100 }), 'OK')
  assert.equal(await redis.get('k'), 'v')
  assert.equal(await redis.get('nothing'), null)
  assert.equal(await redis.set('k', 'no', { condition: 'NX' }), null)
  assert.equal(await redis.set('k', 'w', { expiration: 'KEEPTTL', condition: 'XX', GET: true }), 'v')
  assert.ok(await redis.ttl('k') > 0)
  assert.equal(await redis.set('k', 'x', { expiration: { type: 'PXAT', value: Date.now() + 100000 } }), 'OK')
  assert.equal(await redis.persist('k'), 1)
  assert.deepEqual(await redis.mGet(['k', 'nothing']), ['x', null])
  assert.equal(await redis.incrBy('n', 5), 5)
  assert.equal(await redis.incrByFloat('f', 1.5), '1.5')
  await redis.set('bytes', everyByte)
  const binary = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  assert.deepEqual(await binary.get('bytes'), everyByte)
  await redis.set('large', megabyte)
  assert.ok(await redis.get('large') === megabyte)
  assert.deepEqual(await redis.configGet('maxclients'), { maxclients: '10000' })
  assert.match(await redis.info('server'), /redis_version:7\.2/)
}

async function keys ({ redis, other }) {
  await redis.clientSetName('tour')
  assert.equal(await redis.clientGetName(), 'tour')
  assert.ok((await other.clientList()).some(c => c.name === 'tour'))
  assert.equal(await redis.copy('k', 'copy'), 1)
  assert.equal(await redis.rename('copy', 'renamed'), 'OK')
  assert.equal(await redis.expire('renamed', 100, 'NX'), 1)
  assert.equal(await redis.expire('renamed', 50, 'GT'), 0)
  const found = new Set()
  for await (const part of redis.scanIterator({ COUNT: 2 })) part.forEach(k => found.add(k))
  assert.ok(found.has('k') && found.has('renamed') && !found.has('copy'))
}

async function transactions ({ redis, other }) {
  assert.deepEqual(await redis.multi().set('a', '1').incr('a').get('a').exec(), ['OK', 2, '2'])
  await assert.rejects(redis.multi().incr('a').lPush('a', 'x').exec(), e =>
    e instanceof MultiErrorReply && e.replies[0] === 3 && e.errorIndexes.join() === '1' && /^WRONGTYPE /.test(e.replies[1].message))
  await redis.watch('a')
  await other.set('a', 'theirs')
  await assert.rejects(redis.multi().set('a', 'mine').exec(), WatchError)
  await redis.watch('a')
  assert.deepEqual(await redis.multi().set('a', 'mine').exec(), ['OK'])
  const pipelined = await Promise.all([redis.get('a'), redis.strLen('a'), redis.exists('a')])
  assert.deepEqual(pipelined, ['mine', 4, 1])
}

async function blocking ({ redis, other }) {
  for (const [ask, want] of [
    [() => other.blPop(['none', 'jobs'], 0), { key: 'jobs', element: 'job' }],
    [() => other.brPop(['none', 'jobs'], 0), { key: 'jobs', element: 'job' }],
    [() => other.blMove('jobs', 'done', 'LEFT', 'RIGHT', 0), 'job'],
    [() => other.blmPop(0, 'jobs', 'LEFT'), ['jobs', ['job']]]
  ]) {
    const waiting = ask()
    await until('a client is blocked', async () => blockedClients(await redis.info('clients')) === 1)
    await redis.rPush('jobs', 'job')
    assert.deepEqual({ ...await waiting }, { ...want })
  }
  assert.equal(await other.blPop('none', 0.01), null)
}

async function streams ({ redis, other }) {
  const first = await redis.xAdd('s', '*', { f: '1' })
  const waiting = other.xRead({ key: 's', id: '$' }, { BLOCK: 0 })
  await until('a client is blocked', async () => blockedClients(await redis.info('clients')) === 1)
  const second = await redis.xAdd('s', '*', { f: '2' })
  const [stream, ...others] = await waiting
  assert.equal(others.length, 0)
  assert.equal(stream.name, 's')
  assert.deepEqual(stream.messages.map(m => [m.id, m.message.f]), [[second, '2']])
  assert.deepEqual((await redis.xRange('s', '-', '+')).map(m => [m.id, m.message.f]), [[first, '1'], [second, '2']])
  assert.equal(await other.xRead({ key: 's', id: '$' }, { BLOCK: 1 }), null)
}

async function pubSub ({ redis, open }) {
  const sub = await open()
  const heard = []
  await sub.subscribe('news', (text, channel) => heard.push(['message', channel, text]))
  await sub.pSubscribe('n?ws', (text, channel) => heard.push(['pmessage', channel, text]))
  assert.deepEqual({ ...await redis.pubSubNumSub(['news']) }, { news: 1 })
  assert.equal(await redis.publish('news', 'hello'), 2)
  await until('both messages', () => heard.length === 2)
  assert.deepEqual(heard, [['message', 'news', 'hello'], ['pmessage', 'news', 'hello']])
  assert.equal(await sub.echo('while subscribed'), 'while subscribed')
  await sub.unsubscribe('news')
  await sub.pUnsubscribe('n?ws')
  assert.equal(await redis.publish('news', 'to nobody'), 0)
}

async function shardedPubSub ({ redis, open }) {
  const sub = await open()
  const heard = []
  await sub.sSubscribe('shard', (text, channel) => heard.push([channel, text]))
  assert.deepEqual({ ...await redis.pubSubShardNumSub(['shard']) }, { shard: 1 })
  assert.equal(await redis.sPublish('shard', 'hello'), 1)
  await until('the message', () => heard.length === 1)
  assert.deepEqual(heard, [['shard', 'hello']])
  await sub.sUnsubscribe('shard')
  assert.equal(await redis.sPublish('shard', 'to nobody'), 0)
}

async function errors ({ redis }) {
  for (const [ask, message] of [
    [() => redis.lPush('k', 'x'), 'WRONGTYPE Operation against a key holding the wrong kind of value'],
    [() => redis.incr('k'), 'ERR value is not an integer or out of range'],
    [() => redis.sendCommand(['NOSUCHCOMMAND', 'a']), "ERR unknown command 'NOSUCHCOMMAND', with args beginning with: 'a' "]
  ]) {
    await assert.rejects(ask, e => e instanceof ErrorReply && e.message === message)
  }
}

async function options ({ redis, open, port }) {
  await redis.configSet('requirepass', 'secret')
  await assert.rejects(createClient({ url: `redis://127.0.0.1:${port}`, socket: { reconnectStrategy: false } })
    .on('error', () => {}).connect(), /^Error: NOAUTH /)
  const third = await open({ password: 'secret', database: 3, name: 'third' })
  await third.set('here', '3')
  assert.match(await third.sendCommand(['CLIENT', 'INFO']), / name=third .* db=3 /)
  assert.equal(await redis.exists('here'), 0)
  await redis.configSet('requirepass', '')
}

// reconnect kills a subscriber and a client between two commands: both must go
// on by themselves, on new connections.
async function reconnect ({ redis, other, open }) {
  const sub = await open()
  const heard = []
  await sub.subscribe('news', text => heard.push(text))
  const subscribers = () => redis.sendCommand(['CLIENT', 'LIST', 'TYPE', 'pubsub'])
  const subscriber = subscriberID(await subscribers())
  const before = await other.clientId()
  assert.ok(await redis.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal']) > 0)
  assert.equal(await redis.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']), 1)
  await until('subscribed again', async () => {
    const id = subscriberID(await subscribers())
    return id && id !== subscriber
  })
  assert.equal(await redis.publish('news', 'again'), 1)
  await until('the message', () => heard.length === 1)
  assert.deepEqual(heard, ['again'])
  await until('a working connection', async () => {
    const id = await other.clientId().catch(e => { assert.match(e.message, /Socket closed/) })
    return id && id !== before
  })
}
