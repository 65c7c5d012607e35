//go:build record

package tests

import "testing"

// With the build tag record the scripts can be recorded while our server does
// not compile.

type inside struct{}

func startSynap(t testing.TB, _ string, _ [][2]string) *target { return noSynap(t) }

func startSynapRealTime(t testing.TB, _ string, _ [][2]string) *target { return noSynap(t) }

func noSynap(t testing.TB) *target {
	t.Skip("built with the tag record: only -record and -addr work")
	return nil
}

func differentialSubjects(testing.TB, *inside) []subject { return nil }
