import assert from 'node:assert/strict'

// until polls for what happens on the server's side of a connection.
export async function until (what, condition) {
  for (const end = Date.now() + 20000; Date.now() < end;) {
    const value = await condition()
    if (value) return value
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  assert.fail(`not in time: ${what}`)
}

// The two read replies of INFO clients and of CLIENT LIST TYPE pubsub.
export const blockedClients = info => Number(/blocked_clients:(\d+)/.exec(info)[1])

export function subscriberID (list) {
  const lines = list.trim().split('\n')
  return lines.length === 1 ? /^id=(\d+)/.exec(lines[0])?.[1] : undefined
}

export const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
export const megabyte = '0123456789abcdef'.repeat(1 << 16)
