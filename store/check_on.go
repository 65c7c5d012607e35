//go:build race || arenaheap

package store

// checked builds poison freed entries, refuse to read them and refuse to work
// on a shard that the transaction does not hold.
const checked = true
