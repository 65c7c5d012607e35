//go:build !race && !arenaheap

package store

const checked = false
