//go:build !amd64

package resp

func readTicks() uint64 { return 0 }

// ticksTrusted is false: the clock is read instead.
func ticksTrusted() bool { return false }
