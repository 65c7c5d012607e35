package server

import (
	"runtime"
	"syscall"
)

// saveNice is the priority of a thread that writes a snapshot: whoever answers
// clients is not kept waiting by it for a processor.
const saveNice = 10

// stepBack gives the calling goroutine a thread of low priority, which ends with
// it.
func stepBack() {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), saveNice) // only speed hangs on it
}
