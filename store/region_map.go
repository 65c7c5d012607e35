//go:build (linux || darwin || freebsd) && !race && !arenaheap

package store

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// arenaOnHeap says whose memory the arenas are.
const arenaOnHeap = false

// mapMemory returns n zeroed bytes outside the Go heap, nil when the system
// refuses.
func mapMemory(n int) unsafe.Pointer {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return p
}

func unmapMemory(p unsafe.Pointer, n int) {
	if err := unix.MunmapPtr(p, uintptr(n)); err != nil {
		panic("store: munmap: " + err.Error()) // only a wrong address can fail
	}
}
