//go:build unix

package resp

import "golang.org/x/sys/unix"

func limitFiles(n uint64) {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
		panic(err)
	}
}
