import assert from 'node:assert/strict'
import Redis, { ReplyError } from 'ioredis'
import { familiesIORedis } from './families.mjs'
import { blockedClients, everyByte, megabyte, subscriberID, until } from './wait.mjs'

export async function tourIORedis ({ port }) {
  const clients = []
  const problems = []
  const open = options => {
    const client = new Redis({ port, host: '127.0.0.1', ...options })
    client.on('error', e => problems.push(e))
    clients.push(client)
    return client
  }
  const tour = { open, redis: open(), other: open() }
  for (const part of [values, keys, transactions, blocking, streams, familiesIORedis, pubSub, shardedPubSub, errors, options]) {
    await part(tour)
    assert.deepEqual(problems, [], part.name)
  }
  await reconnect(tour)
  for (const client of clients) await client.quit()
}

async function values ({ redis }) {
  assert.match(await redis.client('INFO'), / resp=3 .*lib-name=ioredis /)
  assert.equal(await redis.set('k', 'v', 'EX', 100), 'OK')
  assert.equal(await redis.get('k'), 'v')
  assert.equal(await redis.get('nothing'), null)
  assert.ok(await redis.ttl('k') > 0)
  assert.equal(await redis.set('k', 'no', 'NX'), null)
  assert.equal(await redis.set('k', 'w', 'KEEPTTL', 'GET'), 'v')
  assert.ok(await redis.ttl('k') > 0)
  assert.equal(await redis.set('k', 'x', 'PX', 100000, 'XX'), 'OK')
  assert.equal(await redis.persist('k'), 1)
  assert.deepEqual(await redis.mget('k', 'nothing'), ['x', null])
  assert.equal(await redis.incr('n'), 1)
  assert.equal(await redis.incrbyfloat('f', 1.5), '1.5')
  await redis.set('bytes', everyByte)
  assert.deepEqual(await redis.getBuffer('bytes'), everyByte)
  await redis.set('large', megabyte)
  assert.ok(await redis.get('large') === megabyte)
  assert.deepEqual(await redis.config('GET', 'maxclients'), ['maxclients', '10000'])
}

async function keys ({ redis, other }) {
  assert.equal(await redis.client('SETNAME', 'tour'), 'OK')
  assert.equal(await redis.client('GETNAME'), 'tour')
  assert.match(await other.client('LIST'), / name=tour /)
  assert.equal(await redis.copy('k', 'copy'), 1)
  assert.equal(await redis.rename('copy', 'renamed'), 'OK')
  assert.equal(await redis.expire('renamed', 100, 'NX'), 1)
  assert.equal(await redis.expire('renamed', 50, 'GT'), 0)
  const found = new Set()
  for await (const part of redis.scanStream({ count: 2 })) part.forEach(k => found.add(k))
  assert.ok(found.has('k') && found.has('renamed') && !found.has('copy'))
}

async function transactions ({ redis, other }) {
  const pipelined = await redis.pipeline().set('a', '1').incr('a').lpush('a', 'x').get('a').exec()
  assert.deepEqual(pipelined.map(([e, v]) => e ? e.message.split(' ')[0] : v), ['OK', 2, 'WRONGTYPE', '2'])
  assert.deepEqual(await redis.multi().rpush('q', 'a', 'b').lrange('q', 0, -1).exec(), [[null, 2], [null, ['a', 'b']]])
  await redis.watch('a')
  await other.set('a', 'theirs')
  assert.equal(await redis.multi().set('a', 'mine').exec(), null)
  await redis.watch('a')
  assert.deepEqual(await redis.multi().set('a', 'mine').exec(), [[null, 'OK']])
  await assert.rejects(redis.multi().set('a', '1').call('NOSUCHCOMMAND').exec(), /EXECABORT/)
}

async function blocking ({ redis, other }) {
  const blocked = () => until('a client is blocked', async () => blockedClients(await redis.info('clients')) === 1)
  for (const [ask, want] of [
    [() => other.blpop('none', 'jobs', 0), ['jobs', 'job']],
    [() => other.brpop('none', 'jobs', 0), ['jobs', 'job']],
    [() => other.blmove('jobs', 'done', 'LEFT', 'RIGHT', 0), 'job'],
    [() => other.blmpop(0, 1, 'jobs', 'LEFT'), ['jobs', ['job']]]
  ]) {
    const waiting = ask()
    await blocked()
    await redis.rpush('jobs', 'job')
    assert.deepEqual(await waiting, want)
  }
  assert.equal(await other.blpop('none', 0.01), null)
}

async function streams ({ redis, other }) {
  const first = await redis.xadd('s', '*', 'f', '1')
  const waiting = other.xread('BLOCK', 0, 'STREAMS', 's', '$')
  await until('a client is blocked', async () => blockedClients(await redis.info('clients')) === 1)
  const second = await redis.xadd('s', '*', 'f', '2')
  assert.deepEqual(await waiting, [['s', [[second, ['f', '2']]]]])
  assert.deepEqual(await redis.xrange('s', '-', '+'), [[first, ['f', '1']], [second, ['f', '2']]])
  assert.deepEqual(await redis.xread('COUNT', 1, 'STREAMS', 's', '0'), [['s', [[first, ['f', '1']]]]])
  assert.equal(await other.xread('BLOCK', 1, 'STREAMS', 's', '$'), null)
}

async function pubSub ({ redis, open }) {
  const sub = open()
  const heard = []
  sub.on('message', (...message) => heard.push(message))
  sub.on('pmessage', (...message) => heard.push(message))
  assert.equal(await sub.subscribe('news'), 1)
  assert.equal(await sub.psubscribe('n?ws'), 2)
  assert.deepEqual(await redis.pubsub('NUMSUB', 'news'), ['news', 1])
  assert.equal(await redis.publish('news', 'hello'), 2)
  await until('both messages', () => heard.length === 2)
  assert.deepEqual(heard, [['news', 'hello'], ['n?ws', 'news', 'hello']])
  assert.equal(await sub.unsubscribe('news'), 1)
  assert.equal(await sub.punsubscribe('n?ws'), 0)
  assert.equal(await redis.publish('news', 'to nobody'), 0)
  assert.equal(await sub.echo('free again'), 'free again')
}

async function shardedPubSub ({ redis, open }) {
  const sub = open()
  const heard = []
  sub.on('smessage', (...message) => heard.push(message))
  assert.equal(await sub.ssubscribe('shard'), 1)
  assert.deepEqual(await redis.pubsub('SHARDNUMSUB', 'shard'), ['shard', 1])
  assert.equal(await redis.spublish('shard', 'hello'), 1)
  await until('the message', () => heard.length === 1)
  assert.deepEqual(heard, [['shard', 'hello']])
  assert.equal(await sub.sunsubscribe('shard'), 0)
}

async function errors ({ redis }) {
  for (const [ask, message] of [
    [() => redis.lpush('k', 'x'), 'WRONGTYPE Operation against a key holding the wrong kind of value'],
    [() => redis.incr('k'), 'ERR value is not an integer or out of range'],
    [() => redis.call('NOSUCHCOMMAND', 'a'), "ERR unknown command 'NOSUCHCOMMAND', with args beginning with: 'a' "]
  ]) {
    await assert.rejects(ask, e => e instanceof ReplyError && e.message === message)
  }
}

async function options ({ redis, open }) {
  await redis.config('SET', 'requirepass', 'secret')
  const third = open({ password: 'secret', db: 3 })
  await third.set('here', '3')
  assert.match(await third.client('INFO'), / db=3 /)
  assert.equal(await redis.exists('here'), 0)
  await redis.config('SET', 'requirepass', '')
}

// reconnect kills a subscriber and a blocked client: both must go on by
// themselves, on new connections.
async function reconnect ({ redis, other, open }) {
  const sub = open()
  const heard = []
  sub.on('message', (channel, text) => heard.push(text))
  await sub.subscribe('news')
  const waiting = other.blpop('jobs', 0)
  const blockedID = async () => /^id=(\d+).* cmd=blpop /m.exec(await redis.client('LIST'))?.[1]
  const blocked = await until('a client is blocked', blockedID)
  const subscriber = subscriberID(await redis.client('LIST', 'TYPE', 'pubsub'))
  assert.ok(await redis.client('KILL', 'TYPE', 'normal') > 0)
  assert.equal(await redis.client('KILL', 'TYPE', 'pubsub'), 1)
  await until('blocked again', async () => { const id = await blockedID(); return id && id !== blocked })
  await until('subscribed again', async () => {
    const id = subscriberID(await redis.client('LIST', 'TYPE', 'pubsub'))
    return id && id !== subscriber
  })
  await redis.rpush('jobs', 'job')
  assert.deepEqual(await waiting, ['jobs', 'job'])
  assert.equal(await redis.publish('news', 'again'), 1)
  await until('the message', () => heard.length === 1)
  assert.deepEqual(heard, ['again'])
}
