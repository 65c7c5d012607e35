//go:build !linux

package server

// stepBack does nothing where threads have no priorities of their own.
func stepBack() {}
