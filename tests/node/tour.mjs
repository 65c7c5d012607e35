// Walks through what an application does, with clients in their default
// settings: node tour.mjs <port> <side port> <unix socket>. Prints "ok <tour>" for
// each tour and exits 0, or says what went wrong.
import { tourIORedis } from './ioredis.mjs'
import { tourNodeRedis } from './node-redis.mjs'
import { limitIORedis, limitIORedisConnecting, limitNodeRedis } from './limits.mjs'

const [port, side, socket] = process.argv.slice(2)
const server = { port: Number(port), side, socket }
const deadline = setTimeout(() => { console.error('the tour hangs'); process.exit(2) }, 60000)

for (const tour of [tourIORedis, tourNodeRedis, limitIORedis, limitIORedisConnecting, limitNodeRedis]) {
  await tour(server)
  console.log(`ok ${tour.name}`)
}
clearTimeout(deadline)
