// What an application does with the collections, by each client's own methods.
import assert from 'node:assert/strict'
import { until } from './wait.mjs'

const sorted = list => [...list].sort()

export async function familiesIORedis ({ redis, other, open }) {
  assert.equal(await redis.hset('hash', { a: 1, b: 'two' }), 2)
  assert.deepEqual({ ...await redis.hgetall('hash') }, { a: '1', b: 'two' })
  assert.deepEqual(await redis.hmget('hash', 'a', 'none'), ['1', null])
  assert.equal(await redis.hincrby('hash', 'a', 4), 5)
  assert.deepEqual(await redis.hscan('hash', 0, 'MATCH', 'a*'), ['0', ['a', '5']])
  assert.deepEqual(await redis.call('HEXPIRE', 'hash', '100', 'FIELDS', '2', 'a', 'none'), [1, -2])
  assert.deepEqual(await redis.call('HPERSIST', 'hash', 'FIELDS', '1', 'a'), [1])

  assert.equal(await redis.sadd('set', 'a', 'b', 'c', 'a'), 3)
  assert.deepEqual(await redis.smismember('set', 'a', 'x'), [1, 0])
  assert.equal(await redis.sadd('set2', 'b', 'x'), 2)
  assert.deepEqual(await redis.sinter('set', 'set2'), ['b'])
  assert.equal((await redis.spop('set2', 5)).length, 2)
  const members = []
  for await (const part of redis.sscanStream('set')) members.push(...part)
  assert.deepEqual(sorted(members), ['a', 'b', 'c'])

  assert.equal(await redis.zadd('zset', 1, 'a', 2.5, 'b', 'inf', 'c'), 3)
  assert.deepEqual((await redis.zrange('zset', 0, -1, 'WITHSCORES')).flat().map(String), ['a', '1', 'b', '2.5', 'c', 'inf'])
  assert.deepEqual(await redis.zrangebyscore('zset', '(1', 5), ['b'])
  assert.equal(String(await redis.zincrby('zset', 0.5, 'b')), '3')
  assert.equal(await redis.zrank('zset', 'b'), 1)
  assert.deepEqual((await redis.zpopmin('zset')).flat().map(String), ['a', '1'])
  const popped = other.bzpopmin('jobs:z', 0)
  await until('a client is blocked', async () => /blocked_clients:1\b/.test(await redis.info('clients')))
  await redis.zadd('jobs:z', 7, 'job')
  assert.deepEqual((await popped).map(String), ['jobs:z', 'job', '7'])

  assert.equal(await redis.geoadd('geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania'), 2)
  assert.equal(await redis.geodist('geo', 'Palermo', 'Catania', 'km'), '166.2742')
  assert.deepEqual(await redis.geosearch('geo', 'FROMLONLAT', 15, 37, 'BYRADIUS', 200, 'km', 'ASC'), ['Catania', 'Palermo'])
  assert.equal(await redis.setbit('bits', 7, 1), 0)
  assert.equal(await redis.bitcount('bits'), 1)
  assert.deepEqual(await redis.bitfield('bits', 'GET', 'u8', 0, 'INCRBY', 'i5', 100, 1), [1, 1])
  assert.equal(await redis.pfadd('hll', 'a', 'b', 'c'), 1)
  assert.equal(await redis.pfcount('hll'), 3)
  await redis.restore('hll2', 0, await redis.dumpBuffer('hll'))
  assert.equal(await redis.pfcount('hll2'), 3)

  await redis.xgroup('CREATE', 'work', 'g', '$', 'MKSTREAM')
  const reading = other.xreadgroup('GROUP', 'g', 'alice', 'BLOCK', 0, 'STREAMS', 'work', '>')
  await until('a client is blocked', async () => /blocked_clients:1\b/.test(await redis.info('clients')))
  const id = await redis.xadd('work', '*', 'f', 'v')
  assert.deepEqual(JSON.parse(JSON.stringify(await reading)), [['work', [[id, ['f', 'v']]]]])
  assert.deepEqual(await redis.xpending('work', 'g'), [1, id, id, [['alice', '1']]])
  assert.deepEqual((await redis.xautoclaim('work', 'g', 'bob', 0, '0'))[1], [[id, ['f', 'v']]])
  assert.equal(await redis.xack('work', 'g', id), 1)

  await redis.rpush('tosort', 3, 1, 2)
  assert.deepEqual(await redis.sort('tosort', 'DESC'), ['3', '2', '1'])
  for (const key of ['hash', 'set', 'zset', 'tosort', 'work']) {
    await redis.restore(`${key}:copy`, 0, await redis.dumpBuffer(key), 'REPLACE')
    assert.equal(await redis.type(`${key}:copy`), await redis.type(key))
  }

  await redis.config('SET', 'notify-keyspace-events', 'KEA')
  const sub = open()
  const heard = []
  sub.on('pmessage', (pattern, channel, event) => heard.push([channel, event]))
  await sub.psubscribe('__keyspace@0__:ev')
  await redis.hset('ev', 'f', 'v')
  await redis.pexpire('ev', 1)
  await until('three events', () => heard.length === 3)
  assert.deepEqual(heard.map(([, event]) => event), ['hset', 'expire', 'expired'])
  await sub.punsubscribe()
  await redis.config('SET', 'notify-keyspace-events', '')
}

export async function familiesNodeRedis ({ redis, other, open }) {
  assert.equal(await redis.hSet('hash', { a: '1', b: 'two' }), 2)
  assert.deepEqual({ ...await redis.hGetAll('hash') }, { a: '1', b: 'two' })
  assert.deepEqual(await redis.hmGet('hash', ['a', 'none']), ['1', null])
  assert.equal(await redis.hIncrBy('hash', 'a', 4), 5)
  assert.deepEqual(await redis.hExpire('hash', ['a', 'none'], 100), [1, -2])
  assert.deepEqual(await redis.hPersist('hash', ['a']), [1])
  assert.deepEqual(await redis.hGetDel('hash', ['b']), ['two'])
  const fields = []
  for await (const part of redis.hScanIterator('hash')) fields.push(...part)
  assert.deepEqual(fields.map(f => ({ ...f })), [{ field: 'a', value: '5' }])

  assert.equal(await redis.sAdd('set', ['a', 'b', 'c', 'a']), 3)
  assert.deepEqual(sorted(await redis.sMembers('set')), ['a', 'b', 'c'])
  assert.equal(await redis.sAdd('set2', ['b', 'x']), 2)
  assert.deepEqual(sorted(await redis.sInter(['set', 'set2'])), ['b'])
  assert.equal((await redis.sPopCount('set2', 5)).length, 2)

  assert.equal(await redis.zAdd('zset', [{ score: 1, value: 'a' }, { score: 2.5, value: 'b' }, { score: Infinity, value: 'c' }]), 3)
  assert.deepEqual((await redis.zRangeWithScores('zset', 0, -1)).map(m => [m.value, m.score]), [['a', 1], ['b', 2.5], ['c', Infinity]])
  assert.deepEqual(await redis.zRangeByScore('zset', '(1', 5), ['b'])
  assert.equal(await redis.zIncrBy('zset', 0.5, 'b'), 3)
  assert.equal(await redis.zRank('zset', 'b'), 1)
  assert.deepEqual({ ...await redis.zPopMin('zset') }, { value: 'a', score: 1 })
  const popped = other.bzPopMin('jobs:z', 0)
  await until('a client is blocked', async () => /blocked_clients:1\b/.test(await redis.info('clients')))
  await redis.zAdd('jobs:z', { score: 7, value: 'job' })
  assert.deepEqual({ ...await popped }, { key: 'jobs:z', value: 'job', score: 7 })

  assert.equal(await redis.geoAdd('geo', [{ longitude: 13.361389, latitude: 38.115556, member: 'Palermo' }, { longitude: 15.087269, latitude: 37.502669, member: 'Catania' }]), 2)
  assert.equal(await redis.geoDist('geo', 'Palermo', 'Catania', 'km'), 166.2742)
  assert.deepEqual(await redis.geoSearch('geo', { longitude: 15, latitude: 37 }, { radius: 200, unit: 'km' }, { SORT: 'ASC' }), ['Catania', 'Palermo'])
  assert.equal(await redis.setBit('bits', 7, 1), 0)
  assert.equal(await redis.bitCount('bits'), 1)
  assert.deepEqual(await redis.bitField('bits', [{ operation: 'GET', encoding: 'u8', offset: 0 }]), [1])
  assert.equal(await redis.pfAdd('hll', ['a', 'b', 'c']), 1)
  assert.equal(await redis.pfCount('hll'), 3)

  await redis.xGroupCreate('work', 'g', '$', { MKSTREAM: true })
  const reading = other.xReadGroup('g', 'alice', { key: 'work', id: '>' }, { BLOCK: 0 })
  await until('a client is blocked', async () => /blocked_clients:1\b/.test(await redis.info('clients')))
  const id = await redis.xAdd('work', '*', { f: 'v' })
  const [stream] = await reading
  assert.deepEqual(stream.messages.map(m => [m.id, m.message.f]), [[id, 'v']])
  const pending = await redis.xPending('work', 'g')
  assert.deepEqual([pending.pending, pending.firstId], [1, id])
  assert.deepEqual((await redis.xAutoClaim('work', 'g', 'bob', 0, '0')).messages.map(m => m.id), [id])
  assert.equal((await redis.xInfoGroups('work'))[0].lag, 0)
  assert.equal(await redis.xAck('work', 'g', id), 1)

  await redis.rPush('tosort', ['3', '1', '2'])
  assert.deepEqual(await redis.sort('tosort', { DIRECTION: 'DESC' }), ['3', '2', '1'])

  await redis.configSet('notify-keyspace-events', 'KEA')
  const sub = await open()
  const heard = []
  await sub.pSubscribe('__keyspace@0__:ev', event => heard.push(event))
  await redis.hSet('ev', 'f', 'v')
  await redis.pExpire('ev', 1)
  await until('three events', () => heard.length === 3)
  assert.deepEqual(heard, ['hset', 'expire', 'expired'])
  await sub.pUnsubscribe()
  await redis.configSet('notify-keyspace-events', '')
  await clientSideCache({ redis, open })
}

// clientSideCache has node-redis keep what it reads until the server tells it of
// a change.
async function clientSideCache ({ redis, open }) {
  const cached = await open({ RESP: 3, clientSideCache: { ttl: 0, maxEntries: 100 } })
  await redis.set('kept', '1')
  assert.equal(await cached.get('kept'), '1')
  const before = await keyspaceReads(redis)
  assert.equal(await cached.get('kept'), '1')
  assert.equal(await keyspaceReads(redis), before)
  await redis.set('kept', '2')
  await until('the new value', async () => await cached.get('kept') === '2')
}

const keyspaceReads = async redis => {
  const info = await redis.info('stats')
  return Number(/keyspace_hits:(\d+)/.exec(info)[1]) + Number(/keyspace_misses:(\d+)/.exec(info)[1])
}
