// Reliable queues with ioredis: the commands are sent by name.
//
//   node queue.mjs [port]
import Redis from 'ioredis'

const queue = 'example:mails'
const redis = new Redis({ port: Number(process.argv[2] ?? 6379), host: '127.0.0.1' })
for (const name of ['qcreate', 'qpublish', 'qconsume', 'qack', 'qnack', 'qdlq', 'qdelete']) redis.addBuiltinCommand(name)

await redis.qdelete(queue)
await redis.qcreate(queue, 'RETRIES', 1, 'ACKDEADLINE', 5000)
await redis.qpublish(queue, 'to: alice', 'ID', 'm1')
await redis.qpublish(queue, 'no address', 'ID', 'm2', 'PRIORITY', 9)
for (;;) {
  const messages = await redis.qconsume(queue, 'worker', 'BLOCK', 100)
  if (messages === null) break
  for (const [id, receipt, payload, , deliveries] of messages) {
    const verb = payload === 'no address' ? 'qnack' : 'qack'
    await redis[verb](queue, receipt)
    console.log(`${verb.toUpperCase()} ${id}, delivery ${deliveries}`)
  }
}
console.log(`redriven: ${await redis.qdlq(queue, 'REDRIVE')}`)
await redis.qdelete(queue)
await redis.quit()
