package config

import "syscall"

// hostMemory reads hw.memsize, eight little-endian bytes of which Sysctl, made
// for strings, drops a final NUL.
func hostMemory() (n int64) {
	s, err := syscall.Sysctl("hw.memsize")
	if err != nil {
		return 0
	}
	for i := len(s) - 1; i >= 0; i-- {
		n = n<<8 | int64(s[i])
	}
	return n
}
