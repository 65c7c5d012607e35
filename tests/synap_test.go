package tests

import "testing"

// startSynap starts our server in process, on a clock that stands still.
func startSynap(t testing.TB, door string, options [][2]string) *server {
	t.Skip("the server is not there yet")
	return nil
}
