//go:build race || arenaheap || !(linux || darwin || freebsd)

package store

import "unsafe"

// The race detector, checkptr and the collector see memory of the Go heap
// only; mapped memory is invisible to them. So these builds take all of it
// from the heap.

// arenaOnHeap says whose memory the arenas are.
const arenaOnHeap = true

func mapMemory(int) unsafe.Pointer { return nil }

func unmapMemory(unsafe.Pointer, int) {}
