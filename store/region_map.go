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
	if unix.MunmapPtr(p, uintptr(n)) == nil {
		return
	}
	// At the system's limit of mappings a hole cannot be cut: then the pages go
	// and only the addresses stay.
	if err := unix.Madvise(unsafe.Slice((*byte)(p), n), unix.MADV_DONTNEED); err != nil {
		panic("store: cannot give back memory: " + err.Error())
	}
}
