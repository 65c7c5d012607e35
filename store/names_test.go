package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

type named string

func (n named) Name() string { return string(n) }

func TestNamesAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, order := range []string{"up", "down", "any"} {
		var n names[named]
		model := map[string]bool{}
		for i := range 4000 {
			text := map[string]string{"up": fmt.Sprintf("%06d", i), "down": fmt.Sprintf("%06d", 9999-i), "any": fmt.Sprintf("%06d", r.IntN(3000))}[order]
			if (n.get([]byte(text)) != "") != model[text] {
				t.Fatalf("%s: get(%q) is wrong", order, text)
			}
			switch {
			case !model[text]:
				n.add(named(text))
				model[text] = true
			case i%3 == 0:
				n.remove([]byte(text))
				delete(model, text)
			}
			if n.len() != len(model) {
				t.Fatalf("%s: %d names, want %d", order, n.len(), len(model))
			}
			if len(n.recent) > recentNames {
				t.Fatalf("%s: %d recent names", order, len(n.recent))
			}
			if r.IntN(500) > 0 {
				continue
			}
			all := n.all()
			if !slices.IsSorted(all) || len(all) != len(model) {
				t.Fatalf("%s: %d names of %d, or not in order", order, len(all), len(model))
			}
		}
	}
}
