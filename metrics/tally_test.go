package metrics

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A Tally comes to the same as counting each run by itself, whatever follows
// what, and long names and those that do not count as queues included.
func TestTallyEqualsSingleCounts(t *testing.T) {
	infos := []CommandInfo{{"get", "string"}, {"lpush", "list"}}
	direct, gathered := NewCommands(infos, 2), NewCommands(infos, 2)
	one, all := NewObjects(200), NewObjects(200)
	for _, o := range []*Objects{one, all} {
		o.SetListQueues(func(key []byte) bool { return string(key) != "unlisted" })
	}
	names := []string{"a", "b", "unlisted", "", strings.Repeat("n", maxLabel), strings.Repeat("n", maxLabel+1)}
	tally := NewTally(gathered, all)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		loop, row, dur, failed := rnd.IntN(2), rnd.IntN(2), int64(1)<<rnd.IntN(36)-1, rnd.IntN(10) == 0
		direct.Record(loop, row, dur, failed)
		tally.Record(loop, row, dur, failed)
		name, op, n := []byte(names[rnd.IntN(len(names))]), QueueOp(rnd.IntN(2)), rnd.IntN(3)
		for range 1 + rnd.IntN(3) {
			if one.counts(name) {
				one.RecordQueueOp(name, op, n, dur, failed)
			}
			tally.RecordListOp(name, op, n, dur, failed)
		}
		room, sop, event := []byte(names[rnd.IntN(len(names))]), StreamOp(rnd.IntN(2)), []byte(names[rnd.IntN(len(names))])
		if rnd.IntN(3) == 0 {
			event = nil
		}
		for range 1 + rnd.IntN(3) {
			one.RecordStreamOp(room, sop, n, failed)
			if event != nil {
				one.RecordStreamEvent(room, event)
			}
			tally.RecordStreamOp(room, sop, n, event, failed)
		}
		if rnd.IntN(20) == 0 {
			tally.Flush()
		}
	}
	tally.Flush()
	for row := range infos {
		if got, want := fmt.Sprint(gathered.Row(row)), fmt.Sprint(direct.Row(row)); got != want {
			t.Errorf("row %d:\n%s\n%s", row, got, want)
		}
	}
	for _, f := range []Family{Queues, Rooms, Events} {
		shown, other := all.Collect(f)
		wantShown, wantOther := one.Collect(f)
		if fmt.Sprint(shown) != fmt.Sprint(wantShown) || !slices.Equal(other, wantOther) {
			t.Errorf("family %d: got %v and %v,\nwant %v and %v", f, shown, other, wantShown, wantOther)
		}
		if got, want := all.Folded(f), one.Folded(f); got != want {
			t.Errorf("family %d: %d folded, want %d", f, got, want)
		}
	}
}
