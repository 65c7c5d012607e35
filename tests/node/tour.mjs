// Walks through what an application does, with ioredis and node-redis in their
// default settings. Prints "ok <client>" and exits 0, or says what went wrong.
import assert from 'node:assert/strict'
import Redis from 'ioredis'
import { createClient } from 'redis'

const [port] = process.argv.slice(2)
const tours = { ioredis: tourIORedis, 'node-redis': tourNodeRedis }
const pause = ms => new Promise(done => setTimeout(done, ms))
const deadline = setTimeout(() => { console.error('the tour hangs'); process.exit(2) }, 30000)

for (const [name, tour] of Object.entries(tours)) {
  await tour()
  console.log(`ok ${name}`)
}
clearTimeout(deadline)

async function tourIORedis () {
  const problems = []
  const open = () => {
    const r = new Redis({ port, host: '127.0.0.1' })
    r.on('error', e => problems.push(e))
    return r
  }
  const redis = open()
  await redis.flushall()
  assert.equal(await redis.set('k', 'v', 'EX', 100), 'OK')
  assert.equal(await redis.get('k'), 'v')
  assert.equal(await redis.get('nothing'), null)
  assert.ok(await redis.ttl('k') > 90)
  assert.deepEqual(await redis.mget('k', 'nothing'), ['v', null])
  assert.equal(await redis.incr('n'), 1)
  const pipelined = await redis.pipeline().set('a', '1').incr('a').lpush('a', 'x').get('a').exec()
  assert.deepEqual(pipelined.map(([e, v]) => e ? e.message.split(' ')[0] : v), ['OK', 2, 'WRONGTYPE', '2'])
  assert.deepEqual(await redis.multi().rpush('q', 'a', 'b').lrange('q', 0, -1).exec(), [[null, 2], [null, ['a', 'b']]])
  const waiter = open()
  const waiting = waiter.blpop('jobs', 5)
  await pause(20)
  await redis.rpush('jobs', 'job')
  assert.deepEqual(await waiting, ['jobs', 'job'])
  const id = await redis.xadd('s', '*', 'f', 'v')
  assert.deepEqual(await redis.xrange('s', '-', '+'), [[id, ['f', 'v']]])
  const read = await redis.xread('COUNT', 1, 'STREAMS', 's', '0')
  assert.ok(JSON.stringify(read).includes(id))
  const sub = open()
  const heard = new Promise(done => sub.on('message', (channel, text) => done([channel, text])))
  assert.equal(await sub.subscribe('news'), 1)
  assert.equal(await redis.publish('news', 'hello'), 1)
  assert.deepEqual(await heard, ['news', 'hello'])
  const keys = new Set()
  for await (const part of redis.scanStream({ count: 2 })) part.forEach(k => keys.add(k))
  assert.ok(keys.has('k') && keys.has('s'))
  await assert.rejects(redis.call('NOSUCHCOMMAND'), /unknown command/)
  const buffer = Buffer.from([0, 255, 13, 10])
  await redis.set('bin', buffer)
  assert.deepEqual(await redis.getBuffer('bin'), buffer)
  for (const r of [redis, waiter, sub]) await r.quit()
  assert.deepEqual(problems, [])
}

async function tourNodeRedis () {
  const problems = []
  const open = async () => {
    const r = createClient({ url: `redis://127.0.0.1:${port}` })
    r.on('error', e => problems.push(e))
    return r.connect()
  }
  const redis = await open()
  await redis.flushAll()
  assert.equal(await redis.set('k', 'v', { EX: 100 }), 'OK')
  assert.equal(await redis.get('k'), 'v')
  assert.equal(await redis.get('nothing'), null)
  assert.equal(await redis.incrBy('n', 5), 5)
  assert.deepEqual(await redis.multi().set('a', '1').incr('a').get('a').exec(), ['OK', 2, '2'])
  await assert.rejects(redis.lPush('a', 'x'), /WRONGTYPE/)
  assert.deepEqual(await redis.configGet('maxclients'), { maxclients: '10000' })
  const waiter = await open()
  const waiting = waiter.blPop('jobs', 5)
  await pause(20)
  await redis.rPush('jobs', 'job')
  const popped = await waiting
  assert.equal(popped.element, 'job')
  const id = await redis.xAdd('s', '*', { f: 'v' })
  assert.equal((await redis.xRange('s', '-', '+'))[0].id, id)
  assert.equal((await redis.xRead({ key: 's', id: '0' }))[0].messages[0].message.f, 'v')
  const sub = await open()
  let done
  const heard = new Promise(resolve => { done = resolve })
  await sub.subscribe('news', text => done(text))
  assert.equal(await redis.publish('news', 'hello'), 1)
  assert.equal(await heard, 'hello')
  await sub.unsubscribe('news')
  const keys = []
  for await (const part of redis.scanIterator({ COUNT: 2 })) keys.push(...[part].flat())
  assert.ok(keys.includes('k') && keys.includes('s'))
  assert.match(await redis.info('server'), /redis_version:7\.2/)
  for (const r of [redis, waiter, sub]) await r.close()
  assert.deepEqual(problems, [])
}
