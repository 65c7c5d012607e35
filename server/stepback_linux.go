package server

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// saveNice is the priority of a thread that writes a snapshot: whoever answers
// clients is not kept waiting by it for a processor.
const saveNice = 10

// stepBack gives the calling goroutine a thread of low priority, which ends with
// it.
func stepBack() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), saveNice) // only speed hangs on it
}
