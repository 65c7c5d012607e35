//go:build !linux

package resp

import "errors"

// LoopDoor exists on Linux only; elsewhere redcon serves everything.
type LoopDoor struct{ Door }

// NewLoopDoor always fails here.
func NewLoopDoor(ListenerSpec, Handler, int, *DoorOptions) (*LoopDoor, error) {
	return nil, errors.New("network-door loop needs Linux; use redcon")
}
