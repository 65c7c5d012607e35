package metrics

import (
	"fmt"
	"testing"
)

func TestGroupsAreCapped(t *testing.T) {
	rooms := []Object{{Label: "a"}, {Label: "b"}}
	gauges := make([]Gauge, 2)
	for i := range 10 {
		gauges[0].Groups = append(gauges[0].Groups, GroupGauge{Name: fmt.Sprint("g", i), Pending: int64(i), Lag: int64(2 * i)})
	}
	gauges[1].Groups = []GroupGauge{{DB: 0, Name: "h", Pending: 3, Lag: 1}, {DB: 4, Name: "h", Pending: 4, Lag: -1}, {Name: "\xff", Pending: 100}}
	shown := groups(rooms, gauges, 3)
	want := []string{`b "\xff" 100 0 false`, `a g9 9 18 false`, `a g8 8 16 false`, `_other _other 35 57 true`}
	if len(shown) != len(want) {
		t.Fatalf("%d series, want %d", len(shown), len(want))
	}
	for i, g := range shown {
		if got := fmt.Sprint(g.room, " ", g.name, " ", g.pending, " ", g.lag, " ", g.unknown); got != want[i] {
			t.Errorf("series %d: %s, want %s", i, got, want[i])
		}
	}
	if all := groups(rooms, gauges, 100); len(all) != 13 {
		t.Errorf("%d series without a cap, want 13", len(all))
	}
}
