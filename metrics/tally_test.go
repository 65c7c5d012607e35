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
			one.RecordListOp(name, op, n, dur, failed)
			tally.RecordListOp(name, op, n, dur, failed)
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
	shown, other := all.Collect(Queues)
	wantShown, wantOther := one.Collect(Queues)
	if fmt.Sprint(shown) != fmt.Sprint(wantShown) || !slices.Equal(other, wantOther) {
		t.Errorf("got %v and %v,\nwant %v and %v", shown, other, wantShown, wantOther)
	}
	if got, want := all.Folded(Queues), one.Folded(Queues); got != want {
		t.Errorf("%d folded, want %d", got, want)
	}
}
