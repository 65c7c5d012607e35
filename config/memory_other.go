//go:build !darwin

package config

// hostMemory is unknown here, so a percentage of it is 0: no limit.
func hostMemory() int64 { return 0 }
