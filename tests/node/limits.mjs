// What the clients make of -TRYAGAIN. Clients on TCP share one bucket; the
// control's unix socket has none.
import assert from 'node:assert/strict'
import Redis, { ReplyError } from 'ioredis'
import { createClient, ErrorReply } from 'redis'
import { until } from './wait.mjs'

const refusal = /^TRYAGAIN rate limit exceeded, retry after \d+ ms$/

async function limited ({ socket }, rate, burst, tour) {
  const control = new Redis(socket)
  await control.config('SET', 'rate-limit-requests-per-second', rate, 'rate-limit-burst-size', burst, 'rate-limit-enabled', 'yes')
  await tour()
  await control.config('SET', 'rate-limit-enabled', 'no')
  await control.quit()
}

async function rejections ({ side }) {
  const page = await (await fetch(`http://${side}/metrics`)).text()
  return Number(/^synap_ratelimit_decisions_total\{action="reject",layer="command"\} (\d+)$/m.exec(page)[1])
}

// refused asks until an error comes; asking takes the tokens that are left.
const refused = ask => until('a refusal', () => ask().then(() => undefined, e => e))

// oneRefusal sees that the application is told at once: nothing is retried.
async function oneRefusal (server, ask, type) {
  const before = await rejections(server)
  const e = await refused(ask)
  assert.ok(e instanceof type, `${e}`)
  assert.match(e.message, refusal)
  assert.equal(await rejections(server), before + 1)
}

export async function limitIORedis (server) {
  const redis = new Redis(server.port)
  await redis.ping()
  await limited(server, 1, 5, async () => {
    await oneRefusal(server, () => redis.get('k'), ReplyError)
    const before = await rejections(server)
    const pipeline = redis.pipeline()
    for (let i = 0; i < 50; i++) pipeline.echo(i)
    const replies = await pipeline.exec()
    replies.forEach(([e, text], i) => e ? assert.match(e.message, refusal) : assert.equal(text, `${i}`))
    const errors = replies.filter(([e]) => e)
    assert.ok(errors.length > 0)
    assert.equal(await rejections(server), before + errors.length)
    const transaction = redis.multi()
    for (let i = 0; i < 200; i++) transaction.rpush('pushed', i)
    await assert.rejects(transaction.exec(), /EXECABORT/)
    assert.equal(redis.status, 'ready')
  })
  assert.equal(await redis.exists('pushed'), 0)
  await redis.quit()
}

// limitIORedisConnecting has INFO refused, by which ioredis asks whether the
// server is ready. It gives up what was queued and connects again and again by
// itself, until there are tokens.
export async function limitIORedisConnecting (server) {
  const warm = new Redis(server.port)
  await warm.ping()
  await limited(server, 10, 10, async () => {
    await until('INFO is refused', async () => {
      const pipeline = warm.pipeline()
      for (let i = 0; i < 50; i++) pipeline.ping()
      await pipeline.exec()
      const redis = new Redis(server.port)
      const problems = []
      redis.on('error', e => problems.push(e))
      const queued = redis.echo('queued').catch(e => e)
      await new Promise(resolve => redis.once('ready', resolve))
      if (problems.length === 0) {
        await queued
        await redis.quit()
        return false
      }
      for (const e of [await queued, ...problems]) assert.match(e.message, refusal)
      await until('an answer', () => redis.echo('free again').catch(e => assert.match(e.message, refusal)))
      await redis.quit()
      return true
    })
  })
  await warm.quit()
}

export async function limitNodeRedis (server) {
  const open = () => createClient({ url: `redis://127.0.0.1:${server.port}` }).on('error', e => assert.fail(e)).connect()
  const redis = await open()
  await limited(server, 1, 5, async () => {
    await oneRefusal(server, () => redis.get('k'), ErrorReply)
    const replies = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => redis.echo(`${i}`)))
    for (const [i, { value, reason }] of replies.entries()) reason ? assert.match(reason.message, refusal) : assert.equal(value, `${i}`)
    assert.ok(replies.some(r => r.reason))
    const transaction = redis.multi()
    for (let i = 0; i < 200; i++) transaction.rPush('pushed', `${i}`)
    await assert.rejects(transaction.exec(), ErrorReply)
    const late = await open()
    await refused(() => late.get('k'))
    assert.ok(redis.isReady && late.isReady)
    late.destroy()
  })
  assert.equal(await redis.exists('pushed'), 0)
  await redis.close()
}
