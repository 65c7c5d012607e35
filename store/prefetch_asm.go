//go:build amd64 || arm64

package store

import "unsafe"

// prefetch asks for the two cache lines at p. It reads nothing: any address is
// legal.
//
//go:noescape
func prefetch(p unsafe.Pointer)
