package resp

import (
	"bytes"
	"os"
)

// readTicks returns the processor's time stamp counter.
func readTicks() uint64

// ticksTrusted asks whether the kernel keeps time by the counter.
func ticksTrusted() bool {
	source, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return err == nil && bytes.Equal(bytes.TrimSpace(source), []byte("tsc"))
}
